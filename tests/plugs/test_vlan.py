"""vlan://: the map, its options, and frames through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugs.parts.vlan_map import VlanMap
from plugs.registry import find, open_link
from plugs.vlan import read_map
from tests.plugs.memory_link import MemorySurroundings, memory_links
from tests.plugs.surroundings import TestSurroundings
from vde import vnl
from vde.errors import ConfigError

ADDRESSES = bytes.fromhex("020000000001020000000002")
REST = b"\x88\xb5" + bytes(range(46))
VLANS = st.integers(0, 4095)


def frame(*tags: int, tpid: bytes = b"\x81\x00") -> bytes:
    return ADDRESSES + b"".join(tpid + tci.to_bytes(2) for tci in tags) + REST


def map_of(text: str) -> VlanMap:
    parsed = vnl.parse(f"vlan://{text}{{null://}}")
    return read_map(*find("vlan").read(parsed))


@pytest.mark.parametrize(
    ("text", "client", "network"),
    [
        ("", (), ()),
        ("3", (), (3,)),
        ("3", (), (0xE003,)),  # in one direction only: a tag that is added has no priority
        ("/u=5", (5,), ()),
        ("3/u=5", (), (3,)),
        ("3/u=5", (5,), ()),
        ("3/t=10:11-12:12-11", (10,), (10,)),
        ("3/tag=10.11-12.12-11", (0x600B,), (0x600C,)),
        ("3/t=10:11-12:12-11", (12, 7), (11, 7)),
        ("3/x", (10,), (10,)),
        ("3/x/t=11-12", (11,), (12,)),
        ("3[untag=4/trunk]", (4,), ()),
        ("", (3,), None),
        ("3", (3,), None),
        ("4095", (), None),
        ("4095", (4095,), None),
        ("/u=5", (), None),
        ("3/x", (1,), None),
        ("3/x", (4095,), None),
        ("3/t=11-12", (12,), None),
    ],
)
def test_from_the_client(text: str, client: tuple[int, ...], network: tuple[int, ...] | None) -> None:
    vlans = map_of(text)
    if network is None:
        assert vlans.to_network(frame(*client)) == "vlan"
        return
    assert vlans.to_client(frame(*network)) == frame(*client)
    if network != (0xE003,):
        assert vlans.to_network(frame(*client)) == frame(*network)


@pytest.mark.parametrize(
    ("text", "network"), [("3", ()), ("3", (4,)), ("4095", (4095,)), ("3/t=11-12", (11,)), ("3/x", (1,)), ("", (3,))]
)
def test_what_is_not_ours_on_the_network(text: str, network: tuple[int, ...]) -> None:
    assert map_of(text).to_client(frame(*network)) == "vlan"


def test_a_priority_tag_is_no_vlan() -> None:
    assert map_of("").to_network(frame(0xE000)) == frame()
    assert map_of("3").to_network(frame(0xE000)) == frame(0xE003)
    assert map_of("3").to_client(frame(0xE000)) == "vlan"


def test_service_tags_are_other_tags() -> None:
    vlans = map_of("3/q")
    assert vlans.to_network(frame(10)) == ADDRESSES + b"\x88\xa8\0\x03" + frame(10)[12:]
    assert vlans.to_client(frame(3)) == "vlan"
    assert vlans.to_client(frame(3, tpid=b"\x88\xa8")) == frame()


def test_a_tag_that_is_cut_off_is_no_tag() -> None:
    for octets in (14, 15, 16, 17):
        assert map_of("3/x").to_client(frame(3)[:octets]) == "short"
    assert map_of("3/x").to_client(frame(3)[:18]) == frame()[:14]


@pytest.mark.parametrize(
    "text", ["4096", "x3", "-1", "3/t=10,11", "3/t=0", "3/t=4095", "3/t=1-2-3", "3/t=1-", "3/u=4095"]
)
def test_what_is_no_vlan_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"4094|4095"):
        map_of(text)


@pytest.mark.fuzz
@given(st.binary(min_size=14, max_size=40), st.integers(0, 4095), st.integers(0, 4094), st.booleans())
def test_random_frames_are_changed_or_refused(octets: bytes, native: int, untag: int, trunk: bool) -> None:
    """Whatever comes, what leaves is at least 14 octets the addresses the same, at most a tag longer or shorter."""
    vlans = VlanMap(native, untag, [(7, 8), (8, 7)], trunk=trunk)
    for candidate in (octets, octets[:12] + b"\x81\x00" + octets[12:]):
        for found in (vlans.to_network(candidate), vlans.to_client(candidate)):
            if not isinstance(found, str):
                assert found[:12] == candidate[:12]
                assert max(14, len(candidate) - 4) <= len(found) <= len(candidate) + 4


@given(
    st.integers(1, 4094), st.integers(0, 4094), st.lists(st.tuples(VLANS, VLANS), max_size=8), st.integers(0, 0xFFFF)
)
def test_random_maps_lead_back(native: int, untag: int, pairs: list[tuple[int, int]], tci: int) -> None:
    """A frame that leaves and comes back is the same, if its entry is the first that says something of either VLAN."""
    clients, networks = [p[0] for p in pairs], [p[1] for p in pairs]
    if len(set(clients)) < len(pairs) or len(set(networks)) < len(pairs):
        return
    if {0, untag} & set(clients) or {0, native} & set(networks):
        return
    vlans = VlanMap(native, untag, pairs)
    if tci & 0xFFF:
        found = vlans.to_network(frame(tci))
        if not isinstance(found, str) and tci & 0xFFF != untag:
            assert vlans.to_client(found) == frame(tci)


async def test_a_frame_may_be_as_long_as_leaves_room_for_the_tag() -> None:
    one, other = memory_links(1518)
    async with MemorySurroundings(one=one).open("vlan://3/u=9{memory://one}") as link:
        assert link.mtu_octets == 1514
        await link.send([frame().ljust(1514, b"x"), frame().ljust(1515, b"x"), frame(9), frame(4)])
        assert await other.receive() == [frame(3).ljust(1518, b"x"), frame()]
        assert link.statistics().dropped_out == {"oversize": 1, "vlan": 1}
        await other.send([frame().ljust(1514, b"x"), frame(4), frame(3).ljust(1518, b"x"), frame()])
        assert await link.receive() == [frame().ljust(1514, b"x"), frame(9)]
        assert link.statistics().dropped_in == {"oversize": 1, "vlan": 1}


async def test_vlans_in_vlans() -> None:
    one, other = memory_links()
    async with (
        MemorySurroundings(one=one).open("vlan://5/qinq{memory://one}") as outer,
        MemorySurroundings(outer=outer).open("vlan://4{memory://outer}") as link,
    ):
        await link.send([frame()])
        assert await other.receive() == [ADDRESSES + bytes.fromhex("88a80005 81000004") + REST]
        assert link.mtu_octets == one.mtu_octets - 8


async def test_what_is_within_is_checked_before() -> None:
    with pytest.raises(ConfigError, match="nonesuch"):
        async with open_link("vlan://3{nonesuch://}", TestSurroundings()):
            pass
    with pytest.raises(ConfigError, match="braces"):
        async with open_link("vlan://3", TestSurroundings()):
            pass
