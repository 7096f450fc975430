"""wirefilter's values as impairments that do the same, to the bit and for the same numbers: so another may carry them.

    delay      constant, uniform or normal; with fifo, both directions are one order (`native.py`)
    loss       alone, or with lostburst as a chain of two states
    mtu        not together with lostburst: what is too long does not move wirefilter's chain, but that of a lane

The others have rules that lanes have not: several copies, a capacity of all that is on its way, a reader that waits,
noise as a frame leaves. `translate.py` is for what need only be alike.
"""

from collections.abc import Callable
from math import floor

from vde.wire.distribution import Distribution
from vde.wire.filter.translate import HEADER_OCTETS, MS
from vde.wire.filter.values import Value
from vde.wire.impairments import Impairments
from vde.wire.loss import Bernoulli, Gilbert, Loss

LONGEST_MS = 1e12
"""A delay; chosen: what fits 64 bits in nanoseconds."""
_NOTHING = Value()
_UNLIKE = ("dup", "bandwidth", "speed", "noise", "chanbufsize")


def equivalent(value: Callable[[str], Value], fifo: bool) -> Impairments | None:
    """The impairments of a direction; None: there are none that do the same.

    Args:
        value: of a parameter.
        fifo: no frame overtakes.
    """
    if any(value(parameter) != _NOTHING for parameter in _UNLIKE):
        return None
    loss, burst, mtu, delay = (value(parameter) for parameter in ("loss", "lostburst", "mtu", "delay"))
    if loss.plus or burst.plus or mtu.plus or abs(delay.value) + abs(delay.plus) > LONGEST_MS:
        return None
    if burst.value > 0 and (mtu.value > 0 or loss.value >= 100):
        return None
    delay_ns, jitter_ns = constant_and_jitter_ns(delay)
    return Impairments(
        delay_ns=delay_ns if jitter_ns else max(0, delay_ns),
        jitter_ns=jitter_ns,
        distribution=Distribution("normal" if delay.normal else "uniform"),
        keep_order=fifo,
        loss=_loss(loss.value, burst.value),
        mtu_octets=max(0, floor(mtu.value) - HEADER_OCTETS) if mtu.value > 0 else None,
    )


def constant_and_jitter_ns(delay: Value) -> tuple[int, int]:
    """What a delay is made of; the jitter is that of `Distribution`."""
    return round(delay.value * MS), round(abs(delay.plus) * MS / (3 if delay.normal else 1))


def chain(share: float, mean_frames: float) -> tuple[float, float]:
    """Of lostburst: the probabilities of becoming faulty, and of being so no more."""
    mean = max(1e-9, mean_frames)
    return share / (mean * (1 - share)) if share < 1 else 1.0, 1 / mean


def _loss(loss_pct: float, burst_frames: float) -> Loss | None:
    share = loss_pct / 100
    if burst_frames > 0:
        to_faulty, back = chain(share, burst_frames)
        return Gilbert(to_faulty, back, 1.0, 0.0)
    return Bernoulli(share) if share > 0 else None
