"""Chance: rates within their binomial intervals over many frames, shapes, correlations, determinism."""

import math
from collections import Counter
from itertools import pairwise

import pytest

from tests.vde.wire.wires import LR, RL, drain, feed, frame, wire
from vde.wire.chance import RESTART, Chance
from vde.wire.corrupt import BitErrors
from vde.wire.delay import Delay
from vde.wire.distribution import Distribution, parse_table
from vde.wire.impairments import Impairments, merge
from vde.wire.loss import Bernoulli, LossProcess, parse_loss

MILLION = 1_000_000
SIGMAS = 4.5  # one in 150,000 would be wrong, and with a fixed seed it is the same one always


def process(text: str, seed: str = "s") -> LossProcess:
    return LossProcess(parse_loss(text), Chance(seed, "w", LR))


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3])
def test_loss_over_a_million_frames(share: float) -> None:
    decide = process(f"{share * 100:g}%").decide
    lost = sum(decide(n) for n in range(1, MILLION + 1))
    assert abs(lost - MILLION * share) < SIGMAS * math.sqrt(MILLION * share * (1 - share))


def test_loss_over_a_million_frames_through_the_whole_wire() -> None:
    one = wire(loss="1%")
    batch = [frame(0)] * 1000
    for _ in range(MILLION // 1000):
        feed(one, batch)
        drain(one)
    statistics = one.statistics()[LR]
    lost = statistics["dropped"]["loss"]
    assert statistics["sent_frames"] == MILLION - lost
    assert abs(lost - 10_000) < SIGMAS * math.sqrt(9900)


def bursts(text: str, count: int = 300_000) -> tuple[float, float, float]:
    """Loss, its standard error in blocks, mean length of a burst."""
    decide = process(text).decide
    lost = [decide(n) for n in range(1, count + 1)]
    runs = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    blocks = [sum(lost[at : at + 1000]) / 1000 for at in range(0, count, 1000)]
    mean = sum(blocks) / len(blocks)
    error = math.sqrt(sum((block - mean) ** 2 for block in blocks)) / len(blocks)
    return mean, error, sum(lost) / max(1, runs)


@pytest.mark.parametrize(
    ("text", "loss", "burst"),
    [
        ("burst:10%,5", 0.1, 5),
        ("gilbert:1%,10%", 1 / 11, 10),
        ("gilbert:5%,20%,50%,1%", 0.2 * 0.5 + 0.8 * 0.01, None),
        ("state:2%,25%", 0.02 / 0.27, 4),
        ("state:1%,20%,30%,50%,1%", None, None),
    ],
)
def test_chains(text: str, loss: float | None, burst: float | None) -> None:
    found, error, length = bursts(text)
    if loss is None:  # balance: 1·(P13+P14) = 3·P31 + 4, 2·P23 = 3·P32, 3·(P31+P32) = 1·P13 + 2·P23, 4 = 1·P14
        one = 1.0
        four, three = one * 0.01, one * 0.01 / 0.2
        two = three * 0.3 / 0.5
        loss = (three + four) / (one + two + three + four)
    assert abs(found - loss) < SIGMAS * error
    assert burst is None or abs(length - burst) < burst * 0.05


def test_correlated_loss_keeps_its_rate() -> None:
    decide = process("10%,50%").decide
    lost = [decide(n) for n in range(1, 200_001)]
    mean = sum(lost) / len(lost)
    both = sum(a and b for a, b in pairwise(lost)) / len(lost)
    assert abs(mean - 0.1) < 0.006
    assert both > 0.025  # alone it would be 0.01


def test_a_correlated_number_is_a_function_of_its_frame() -> None:
    chance = Chance("s", "w", LR)
    in_order = chance.correlated("x", 0.7)
    values = {n: in_order.uniform(n) for n in range(3 * RESTART)}
    for n in (5, 2 * RESTART + 1, 17, RESTART - 1, RESTART, 0):
        assert chance.correlated("x", 0.7).uniform(n) == values[n]


@pytest.mark.parametrize(
    ("shape", "mean", "deviation"),
    [("uniform", 0.0, 1 / math.sqrt(3)), ("normal", 0.0, 1.0), ("pareto", 0.0, None), ("paretonormal", 0.0, None)],
)
def test_jitter_has_its_shape(shape: str, mean: float, deviation: float | None) -> None:
    settings = merge(Impairments(), {"delay": "100ms", "jitter": "10ms", "distribution": shape})
    delay = Delay(settings, Chance("s", "w", LR), "")
    values = [delay.of(n) / 1e6 for n in range(1, 100_001)]
    found = sum(values) / len(values)
    assert abs(found - 100 - 10 * mean) < (0.15 if deviation else 0.4)  # the long tail is cut at 4
    if deviation:
        measured = math.sqrt(sum((value - found) ** 2 for value in values) / len(values))
        assert abs(measured - 10 * deviation) < 0.1


def test_a_table_is_sampled_evenly() -> None:
    shape = parse_table("t.dist", "# a comment\n-8192 0\n8192 16384 # more\n")
    delay = Delay(Impairments(delay_ns=10**9, jitter_ns=1000, distribution=shape), Chance("s", "w", LR), "")
    found = Counter(delay.of(n) - 10**9 for n in range(40_000))
    assert found.keys() == {-1000, 0, 1000, 2000}
    assert all(abs(count - 10_000) < SIGMAS * math.sqrt(7500) for count in found.values())
    assert Distribution("uniform").shape(0.5, lambda: 0.0) == 0


@pytest.mark.parametrize("rate", [1e-6, 1e-4, 0.01, 0.5])
def test_bit_errors(rate: float) -> None:
    errors = BitErrors(rate, Chance("s", "w", LR).numbers("ber"))
    octets = 1500
    count = 20_000 if rate < 0.01 else 100
    found = [errors.positions(n, octets) for n in range(1, count + 1)]
    bits = count * octets * 8
    flipped = sum(map(len, found))
    assert abs(flipped - bits * rate) < SIGMAS * math.sqrt(bits * rate * (1 - rate)) + 1
    assert all(sorted(set(one)) == one and all(0 <= bit < octets * 8 for bit in one) for one in found)


def test_duplicates_corruption_and_reordering_have_their_rates() -> None:
    count = 100_000
    one = wire(duplicate="3%", corrupt="2%", delay="1ms", reorder="5%")
    for n in range(count // 100):
        feed(one, [frame(0)] * 100, n)
    drain(one)
    found = one.statistics()[LR]
    for key, share, of in (
        ("duplicated", 0.03, count),
        ("corrupted", 0.02, count * 1.03),
        ("reordered", 0.05, count * 1.03),
    ):
        # a duplicate shares its frame's order, so the variance of what is reordered is a little more
        assert abs(found[key] - of * share) < 1.1 * SIGMAS * math.sqrt(of * share), key


def test_the_rate_is_exact() -> None:
    one = wire(rate="10Mbit", queue_frames="20000")
    feed(one, [frame(n, 1250) for n in range(10_000)])
    assert drain(one)[-1][0] == 10_000 * 10**6


FULL = {"delay": "10ms", "jitter": "5ms", "loss": "gilbert:2%,30%", "duplicate": "3%", "ber": "1e-5", "rate": "5Mbit"}


def fates(**settings: str) -> list[tuple[bool, int, tuple[int, ...]]]:
    one = wire(**settings)
    for n in range(4000):
        feed(one, [frame(n, 100 + n % 900)], n * 700_000)
    drain(one)
    verdicts = [one.directions[LR].why(n) for n in range(1, 4001)]
    return [(v.fate == "loss", v.delay_ns, v.flipped) for v in verdicts if v is not None]


def test_two_runs_are_identical_and_seeds_matter() -> None:
    outputs = []
    for seed in ("1", "1", "2"):
        one = wire(seed=seed, **FULL)
        for n in range(3000):
            feed(one, [frame(n, 100 + n % 900)], n * 700_000)
        outputs.append(drain(one))
    assert outputs[0] == outputs[1] != outputs[2]


def test_one_impairment_does_not_shift_another() -> None:
    whole = fates(**FULL)
    loss_alone = fates(loss=FULL["loss"])
    assert [lost for lost, _, _ in whole] == [lost for lost, _, _ in loss_alone]
    jitter_alone = fates(delay="10ms", jitter="5ms")
    assert all(a[1] == b[1] for a, b in zip(whole, jitter_alone, strict=True) if not a[0])
    errors_alone = fates(ber="1e-5")
    assert all(a[2] == b[2] for a, b in zip(whole, errors_alone, strict=True) if not a[0])
    correlated = fates(delay="10ms", jitter="5ms", jitter_correlation="60%")
    with_loss = fates(delay="10ms", jitter="5ms", jitter_correlation="60%", loss="30%")
    assert all(a[1] == b[1] for a, b in zip(with_loss, correlated, strict=True) if not a[0])


def test_directions_and_names_have_chances_of_their_own() -> None:
    draws = {
        (name, side): [Chance("s", name, side).numbers("loss").uniform(n) for n in range(20)]
        for name in ("a", "b")
        for side in (LR, RL)
    }
    assert len({tuple(one) for one in draws.values()}) == 4


def test_known_numbers() -> None:
    """The formula of the documentation, by hand: a change would break every recorded run."""
    from hashlib import blake2b

    key = blake2b(b"42\0slow\0left-to-right\0loss", digest_size=32).digest()
    block = blake2b((11 >> 3).to_bytes(8, "little"), key=key, digest_size=64).digest()
    assert Chance("42", "slow", LR).numbers("loss").integer(11) == int.from_bytes(block[24:32], "little")
    assert Bernoulli(0.5).probability == 0.5
