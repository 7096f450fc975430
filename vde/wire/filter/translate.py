"""wirefilter's parameters as impairments: `vde wire --markov FILE` reads scripts for wirefilter (its `-f`).

| wirefilter  | becomes                                                        |
|-------------|----------------------------------------------------------------|
| loss        | loss, or with lostburst a chain with that mean burst           |
| delay A+B   | delay A ms, jitter B ms uniform; N: normal with B/3            |
| dup         | duplicate (one copy; wirefilter's may be several)              |
| bandwidth   | rate; speed does too, if it is less                            |
| noise       | ber: bits per 2^20 octets                                      |
| mtu         | mtu, less the two octets that wirefilter adds                  |
| chanbufsize | queue                                                          |

The PLUS of other parameters, `fifo` and `load` have no equivalent here and are refused; `wirefilter` itself has all.
"""

from vde.errors import ConfigError, Refused
from vde.wire.distribution import Distribution
from vde.wire.filter.commands import SETTERS, carry_out_on_nodes
from vde.wire.filter.nodes import Nodes
from vde.wire.filter.values import Value
from vde.wire.impairments import Impairments, Share
from vde.wire.loss import Bernoulli, by_burst
from vde.wire.markov import Markov, State
from vde.wire.schedule import DIRECTIONS

HEADER_OCTETS = 2
MS = 1_000_000


def parse_markov(name: str, text: str) -> Markov:
    """A script of parameter and Markov commands.

    Raises:
        ConfigError: with the line's number.
    """
    nodes = Nodes()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            if not carry_out_on_nodes(nodes, stripped):
                raise ConfigError(f"{stripped[:64]!r}: one of {', '.join(SETTERS)} was expected")
        except (ConfigError, Refused) as error:
            raise ConfigError(f"{name}:{number}: {error}") from None
    states = []
    for index, node in enumerate(nodes.nodes):
        try:
            impairments = {side: _impairments(node.values, which) for which, side in enumerate(DIRECTIONS)}
        except ConfigError as error:
            raise ConfigError(f"{name}: node {index}: {error}") from None
        states.append(State(index, node.name, impairments))
    edges = [[max(0.0, weight) / 100 for weight in row] for row in nodes.edges]
    return Markov(states, edges, round(nodes.period_ms * MS))


def _impairments(values: dict[str, list[Value]], which: int) -> Impairments:
    found = {parameter: both[which] for parameter, both in values.items()}
    for parameter, value in found.items():
        if value.plus and parameter != "delay":
            raise ConfigError(f"{parameter} {value}: PLUS is possible for delay only")
    loss = min(100.0, max(0.0, found["loss"].value)) / 100
    burst = found["lostburst"].value
    delay = found["delay"]
    rates = [found[name].value for name in ("bandwidth", "speed") if found[name].value > 0]
    mtu = int(found["mtu"].value)
    return Impairments(
        delay_ns=round(max(0.0, delay.value) * MS),
        jitter_ns=round(abs(delay.plus) * MS / (3 if delay.normal else 1)),
        distribution=Distribution("normal" if delay.normal else "uniform"),
        loss=None if not loss else by_burst(loss, max(1.0, burst)) if burst > 0 else Bernoulli(loss),
        duplicate=Share(min(1.0, found["dup"].value / 100)) if found["dup"].value > 0 else None,
        ber=bit_error_rate(found["noise"].value),
        rate_bit_s=max(1, round(min(rates) * 8)) if rates else None,
        queue_octets=round(found["chanbufsize"].value) if found["chanbufsize"].value > 0 else None,
        mtu_octets=max(0, mtu - HEADER_OCTETS) if mtu > 0 else None,
    )


def bit_error_rate(bits_per_mebioctet: float) -> float:
    """Noise as a probability of each bit, at most one half."""
    return min(0.5, max(0.0, bits_per_mebioctet) / (8 << 20))
