"""Every plug lives the same life: send, receive, long and short frames, cancellation, a broken peer, close.

A scheme takes part with a file `tests/plugs/pairs/SCHEME.py`; one without fails `test_every_scheme_has_a_pair`.
"""

import importlib
import os
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import tests.plugs.pairs as pairs
from plugs import registry
from tests.plugs.pair import Ends, PairSpec
from tests.tools import NeedTool
from vde.errors import LinkBroken
from vde.frame import TAG_OCTETS
from vde.link import FRAMES_PER_BATCH, Link

PATIENCE_S = 20
ALL = sorted(found.name for found in pkgutil.iter_modules(pairs.__path__))


def frame(number: int, octets: int = 60) -> bytes:
    head = bytes.fromhex("ffffffffffff 020000000001 88b5") + number.to_bytes(4)
    return head + bytes((number + index) & 0xFF for index in range(octets - len(head)))


def pair_of(name: str) -> PairSpec:
    spec: PairSpec = importlib.import_module(f"tests.plugs.pairs.{name}").PAIR
    return spec


@asynccontextmanager
async def ends_of(name: str, home: Path) -> AsyncIterator[Ends]:
    spec = pair_of(name)
    for program in spec.needs:
        if program == "root":
            if os.geteuid() != 0:
                pytest.skip("needs root")
        else:
            NeedTool()(program)
    with trio.fail_after(PATIENCE_S):
        async with spec.open(home) as ends:
            yield ends


async def collect(link: Link, count: int) -> list[bytes]:
    """Frames of the test; others, as a kernel's own, are passed over."""
    found: list[bytes] = []
    while len(found) < count:
        batch = await link.receive()
        assert 1 <= len(batch) <= FRAMES_PER_BATCH
        found += [one for one in batch if one[12:14] == b"\x88\xb5"]
    return found


async def until_broken(link: Link) -> None:
    while True:
        await link.receive()


def test_every_scheme_has_a_pair() -> None:
    assert {"stdio" if scheme == "-" else scheme for scheme in registry.schemes()} <= set(ALL)


@pytest.mark.parametrize("scheme", ALL)
async def test_frames_pass_both_ways_and_are_counted(scheme: str, short_path: Path) -> None:
    async with ends_of(scheme, short_path) as ends:
        sent = [frame(number, octets) for number, octets in enumerate((60, 64, 590, 1514))]
        await ends.link.send(sent)
        if pair_of(scheme).receives:
            assert await collect(ends.outside, len(sent)) == sent
            await ends.outside.send(sent)
            assert await collect(ends.link, len(sent)) == sent
            assert ends.link.statistics().received_frames >= len(sent)
        statistics = ends.link.statistics()
        assert (statistics.sent_frames, statistics.sent_octets) == (len(sent), sum(map(len, sent)))
        assert not statistics.dropped_out


@pytest.mark.parametrize("scheme", ALL)
async def test_a_burst_arrives_whole_and_in_order(scheme: str, short_path: Path) -> None:
    if not (pair_of(scheme).receives and pair_of(scheme).lossless):
        pytest.skip("frames may be lost, or go nowhere")
    async with ends_of(scheme, short_path) as ends, trio.open_nursery() as nursery:
        sent = [frame(number, 60 + number) for number in range(64)]
        nursery.start_soon(ends.link.send, sent)
        assert await collect(ends.outside, len(sent)) == sent
        nursery.start_soon(ends.outside.send, sent)
        assert await collect(ends.link, len(sent)) == sent


@pytest.mark.parametrize("scheme", ALL)
async def test_frames_too_short_or_too_long_are_dropped_and_counted(scheme: str, short_path: Path) -> None:
    async with ends_of(scheme, short_path) as ends:
        good = frame(1)
        await ends.link.send([b"", good[:13], frame(2, ends.link.mtu_octets + 1), bytes(70_000), good])
        statistics = ends.link.statistics()
        assert statistics.dropped_out == {"short": 2, "oversize": 2}
        assert statistics.sent_frames == 1
        if pair_of(scheme).receives:
            assert await collect(ends.outside, 1) == [good]


def lengths(mtu_octets: int) -> list[int]:
    """Up to 70,000: every one up to 130, those about powers of two and the bounds, and a net over the rest."""
    about = [mtu_octets, 1500, 1514, *(1 << power for power in range(8, 17)), 65_507, 65_535, 69_632]
    near = {middle + distance for middle in about for distance in range(-2, 3)}
    return sorted({*range(131), *range(130, 1600, 13), *range(1600, 70_001, 761), *near, 70_000})


async def pass_on(ends: Ends, part: list[bytes]) -> list[bytes]:
    """Which of them arrive, before a mark that is sent behind them."""
    mark, found = frame(0xFFFF_FFFF, 77), list[bytes]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.link.send, [*part, mark])
        while found[-1:] != [mark]:
            found += await collect(ends.outside, 1)
    return found[:-1]


@pytest.mark.parametrize("scheme", ALL)
async def test_frames_of_every_length_pass_or_are_counted(scheme: str, short_path: Path) -> None:
    async with ends_of(scheme, short_path) as ends:
        most = ends.link.mtu_octets
        tried = [frame(number, max(octets, 18))[:octets] for number, octets in enumerate(lengths(most))]
        good = [one for one in tried if 14 <= len(one) <= most]
        await ends.link.send([one for one in tried if one not in good])
        short = sum(len(one) < 14 for one in tried)
        assert ends.link.statistics().dropped_out == {"short": short, "oversize": len(tried) - short - len(good)}
        arrived: list[bytes] = []
        for start in range(0, len(good), 4):  # a packet socket holds so many of the longest
            if pair_of(scheme).receives and pair_of(scheme).lossless:
                arrived += await pass_on(ends, good[start : start + 4])
            else:
                await ends.link.send(good[start : start + 4])
        if arrived:
            lost = [one for one in good if one not in arrived]
            assert arrived == [one for one in good if one not in lost], "in order, unharmed"
            assert all(most - TAG_OCTETS < len(one) <= most for one in lost), [len(one) for one in lost]
            assert len(lost) <= TAG_OCTETS


@pytest.mark.parametrize("scheme", ALL)
async def test_a_cancelled_receive_loses_nothing(scheme: str, short_path: Path) -> None:
    async with ends_of(scheme, short_path) as ends:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ends.link.receive()
        assert scope.cancelled_caught
        if pair_of(scheme).receives:
            await ends.outside.send([frame(1)])
            assert await collect(ends.link, 1) == [frame(1)]


@pytest.mark.parametrize("scheme", [name for name in ALL if pair_of(name).breaks])
async def test_a_peer_that_goes_away_breaks_the_link(scheme: str, short_path: Path) -> None:
    async with ends_of(scheme, short_path) as ends:
        assert ends.break_outside is not None
        ends.break_outside()
        with pytest.raises(LinkBroken):
            await until_broken(ends.link)


@pytest.mark.parametrize("scheme", ALL)
async def test_nothing_is_left_after_close(scheme: str, short_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    async with ends_of(scheme, short_path):
        pass
    assert len(set(os.listdir("/proc/self/fd"))) <= len(before)
