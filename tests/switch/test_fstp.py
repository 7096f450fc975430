"""The spanning tree's rules, one switch at a time: frames, states, events, limits. See also `test_fstp_networks.py`."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.bpdu import ROLE_DESIGNATED, ROLE_ROOT, SECOND, Bpdu, Flags, parse
from switch.fstp import (
    Event,
    Fstp,
    FstpPortView,
    FstpView,
    PortActive,
    PortInactive,
    Role,
    RootChanged,
    StateChanged,
    TopologyChanged,
)

S = 1_000_000_000
NOW = 5000 * S
MAC = bytes.fromhex("00ff11223344")
OWN = b"\x80\x00" + MAC
LOW = bytes.fromhex("100000ff01010101")
LOWER = bytes.fromhex("080000ff01010101")
HIGH = bytes.fromhex("900000ff01010101")
NONE = b"\xff" * 8
COST = 20_000_000


def bpdu(flags: int, root: bytes, cost: int, bridge: bytes, *, port: int = 0x8001, **more: int) -> bytes:
    return Bpdu(b"\x00\xff\x01\x01\x01\x01", Flags(flags), root, cost, bridge, port, **more).emit()


def sent(core: Fstp) -> list[str]:
    """Frames waiting to leave, short: port, flags, root, cost."""
    lines = []
    for port, frame in core.frames_to_send():
        what = parse(frame)
        vlan = "" if what.tci is None else f" vlan {what.tci}"
        assert (what.source, what.bridge) == (MAC, OWN)
        lines.append(f"{port}: {what.flags:02x} {what.root.hex()} {what.cost}{vlan}")
    return lines


def events(core: Fstp) -> list[Event]:
    def drain() -> Iterator[Event]:
        while (event := core.next_event()) is not None:
            yield event

    return list(drain())


def switch(*ports: int, vlan: int = 0, tagged: bool = False, enabled: bool = True) -> Fstp:
    """A switch with these ports up, nothing left to send or tell."""
    core = Fstp(MAC)
    core.add_vlan(vlan, NOW)
    if enabled:
        core.enable(NOW)
    for port in ports:
        core.port_up(vlan, port, tagged=tagged, now_ns=NOW)
    core.frames_to_send()
    events(core)
    return core


def test_disabled_says_nothing_and_blocks_nothing() -> None:
    core = switch(1, 2, enabled=False)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.handle_timer(NOW + 100 * S)
    core.port_down(0, 2, NOW)
    assert sent(core) == []
    assert events(core) == []
    assert core.next_deadline() is None
    assert core.ignored == 1
    assert core.port_state(0, 1) == (True, True)
    assert core.view(0, NOW + 27 * S) == FstpView(
        vlan=0,
        enabled=False,
        is_root=True,
        root=OWN,
        designated=NONE,
        root_port=0,
        cost=0,
        age_s=27,
        bonus_port=0,
        bonus_cost=0,
        ports=(FstpPortView(1, tagged=False, cost=COST, role=Role.DESIGNATED),),
    )


def test_port_up_speaks_at_once_and_hellos_follow_every_four_seconds() -> None:
    core = Fstp(MAC)
    core.add_vlan(0, NOW)
    core.enable(NOW)
    assert events(core) == [RootChanged(0, 0, OWN)]
    core.port_up(0, 1, tagged=False, now_ns=NOW + S)
    assert core.frames_to_send() == [(1, Bpdu(MAC, Flags(0x3C), OWN, 0, OWN, 0x8001).emit())]
    assert events(core) == [TopologyChanged(0)]
    for number in range(1, 4):
        assert core.next_deadline() == NOW + number * 4 * S
        core.handle_timer(NOW + number * 4 * S - 1)
        assert core.frames_to_send() == []
        core.handle_timer(NOW + number * 4 * S)
        assert core.frames_to_send() == [(1, Bpdu(MAC, Flags(0x7C), OWN, 0, OWN, 0x8001).emit())]
        assert events(core) == []


def test_tagged_port_speaks_with_a_tag() -> None:
    core = switch(1, vlan=5, tagged=True)
    core.handle_timer(NOW + 4 * S)
    [(port, frame)] = core.frames_to_send()
    assert (port, len(frame), frame[12:18].hex()) == (1, 57, "810000050027")


def test_a_late_timer_sends_one_hello() -> None:
    core = switch(1)
    core.handle_timer(NOW + 1000 * S)
    assert sent(core) == [f"1: 7c {OWN.hex()} 0"]
    assert core.next_deadline() == NOW + 1004 * S


def test_dialogue_recorded_from_vde_switch() -> None:
    """The same steps, frames and events as vde_switch 2.3.2 was seen to take."""
    core = switch(1, 2)
    core.receive(1, 0, bpdu(0x3C, HIGH, 0, HIGH), NOW)
    assert sent(core) == [f"1: 3c {OWN.hex()} 0"]
    assert events(core) == [PortActive(0, 1)]

    core.receive(2, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    assert sent(core) == [f"1: 0a {LOW.hex()} {COST}", f"2: 74 {LOW.hex()} {COST}"]
    assert events(core) == [
        PortActive(0, 2),
        RootChanged(0, 2, LOW),
        StateChanged(0, 1, learning=False, forwarding=False),
        StateChanged(0, 2, learning=True, forwarding=True),
        TopologyChanged(0),
    ]
    assert core.port_state(0, 1) == (False, False)

    core.receive(1, 0, bpdu(0x74, LOW, 2 * COST, HIGH), NOW)
    assert sent(core) == [f"2: 35 {LOW.hex()} {COST}"]
    assert events(core) == [StateChanged(0, 1, learning=True, forwarding=True), TopologyChanged(0)]

    core.receive(1, 0, bpdu(0x7C, LOW, 2 * COST, HIGH), NOW)
    assert sent(core) == [f"2: 35 {LOW.hex()} {COST}"]
    assert events(core) == [StateChanged(0, 1, learning=False, forwarding=False), TopologyChanged(0)]

    core.handle_timer(NOW + 4 * S)
    assert sent(core) == [f"1: 4a {LOW.hex()} {COST}", f"2: 74 {LOW.hex()} {COST}"]

    core.port_down(0, 2, NOW + 5 * S)
    assert sent(core) == [f"1: 3d {OWN.hex()} 0"]
    assert events(core) == [
        PortInactive(0, 2),
        RootChanged(0, 0, OWN),
        StateChanged(0, 1, learning=True, forwarding=True),
        TopologyChanged(0),
    ]


def test_view_of_a_switch_that_is_not_the_root() -> None:
    core = switch(1, 2, 3)
    core.port_up(0, 0, tagged=True, now_ns=NOW)
    for port, frame in ((1, bpdu(0x3C, LOW, 5, HIGH)), (2, bpdu(0x3C, HIGH, 0, HIGH)), (2, bpdu(0x7C, LOW, 7, HIGH))):
        core.receive(port, 0, frame, NOW)
    core.set_edge(0, 3, True, NOW)
    core.set_bonus(0, 2, 11, NOW)
    view = core.view(0, NOW + 3 * S + 1)
    assert (view.is_root, view.root, view.designated, view.root_port, view.cost) == (False, LOW, HIGH, 1, COST + 5)
    assert (view.enabled, view.age_s, view.bonus_port, view.bonus_cost) == (True, 3, 2, 11)
    assert [(p.port, p.tagged, p.role) for p in view.ports] == [
        (1, False, Role.ROOT),
        (2, False, Role.BACKUP),
        (3, False, Role.EDGE),
        (0, True, Role.DESIGNATED),
    ]


def test_age_is_the_time_since_the_root_was_heard_of() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW + S)
    core.frames_to_send()
    core.handle_timer(NOW + 4 * S)
    [(_, frame)] = core.frames_to_send()
    assert parse(frame).age == 3 * SECOND
    core.receive(1, 0, bpdu(0x7C, LOW, 0, LOW), NOW + 5 * S)
    core.handle_timer(NOW + 8 * S)
    [(_, frame)] = core.frames_to_send()
    assert parse(frame).age == 3 * SECOND


def test_root_is_lost_after_three_hellos_without_it() -> None:
    core = switch(1, 2)
    core.receive(2, 0, bpdu(0x7C, HIGH, 0, HIGH), NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW + 3 * S)
    for seconds in (4, 8, 12):
        core.handle_timer(NOW + seconds * S)
    assert core.view(0, NOW).root == LOW
    events(core)
    core.handle_timer(NOW + 16 * S)
    assert core.view(0, NOW).is_root
    assert RootChanged(0, 0, OWN) in (told := events(core))
    assert StateChanged(0, 2, learning=True, forwarding=True) in told
    assert TopologyChanged(0) in told
    assert sent(core)[-2:] == [f"{port}: 7c {OWN.hex()} 0" for port in (1, 2)]


def test_backup_port_forwards_again_when_its_neighbour_falls_silent() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x7C, OWN, COST, HIGH), NOW)
    assert core.port_state(0, 1) == (False, False)
    events(core)
    when = {}
    for hello in range(1, 13):
        core.handle_timer(NOW + hello * 4 * S)
        for event in events(core):
            when[event] = hello * 4
    assert when == {PortInactive(0, 1): 32, StateChanged(0, 1, learning=True, forwarding=True): 48}


def test_hosts_are_never_blocked() -> None:
    core = switch(1, 2, 3)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    assert [core.port_state(0, port) for port in (1, 2, 3)] == [(True, True)] * 3
    assert sent(core) == [f"1: 74 {LOW.hex()} {COST}"]


def test_a_second_proposal_is_agreed_to_again() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x0A, LOW, 0, LOW), NOW)
    core.receive(1, 0, bpdu(0x0A, LOW, 0, LOW), NOW)
    assert sent(core) == [f"1: 74 {LOW.hex()} {COST}"] * 2
    core.receive(1, 0, bpdu(0x7C, LOW, 0, LOW), NOW)
    assert sent(core) == []


def test_blocked_neighbours_are_told_of_a_new_way_at_once() -> None:
    core = switch(1, 2)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.receive(2, 0, bpdu(0x7C, LOW, COST, HIGH), NOW)
    core.frames_to_send()
    core.receive(1, 0, bpdu(0x7C, LOW, COST, LOW), NOW)
    assert sent(core) == [f"2: 0a {LOW.hex()} {2 * COST}", f"1: 74 {LOW.hex()} {2 * COST}"]


def test_worse_root_than_ourselves_at_the_root_port_makes_us_the_root() -> None:
    core = switch(1, 2)
    core.receive(2, 0, bpdu(0x7C, HIGH, 0, HIGH), NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.frames_to_send()
    core.receive(1, 0, bpdu(0x3C, HIGH, 0, LOW), NOW)
    assert sent(core) == [f"1: 0a {OWN.hex()} 0", f"2: 0a {OWN.hex()} 0"]
    assert core.view(0, NOW).is_root
    core.receive(1, 0, bpdu(0x74, OWN, COST, LOW), NOW)
    assert core.port_state(0, 1) == (True, True)


def test_a_child_is_no_way_to_the_root() -> None:
    core = switch(1)
    child = ROLE_ROOT | Flags.LEARNING | Flags.FORWARDING | Flags.AGREEMENT
    core.receive(1, 0, bpdu(child, LOW, 5 * COST, HIGH), NOW)
    assert core.view(0, NOW).is_root
    assert sent(core) == [f"1: 3c {OWN.hex()} 0"]


def test_root_port_whose_neighbour_becomes_our_child_is_none() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOWER), NOW)
    core.receive(1, 0, bpdu(0x74, LOW, 2 * COST, LOWER), NOW)
    assert core.view(0, NOW).is_root


def test_other_children_on_the_root_ports_segment_change_nothing() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.receive(1, 0, bpdu(0x74, LOW, COST, HIGH), NOW)
    assert core.view(0, NOW).root == LOW


def test_echo_of_a_lost_root_is_not_believed_for_a_while() -> None:
    core = switch(1, 2)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.receive(2, 0, bpdu(0x7C, LOW, COST, HIGH), NOW)
    core.port_down(0, 1, NOW)
    core.frames_to_send()
    core.receive(2, 0, bpdu(0x7C, LOW, COST, HIGH), NOW)
    assert core.view(0, NOW).is_root
    assert sent(core) == []
    held_until = core.next_deadline()
    assert held_until == NOW + S // 4
    core.handle_timer(held_until)
    assert sent(core) == [f"2: 3c {OWN.hex()} 0"], "whoever knows better is asked"
    core.receive(2, 0, bpdu(0x7C, LOW, COST, HIGH), held_until)
    assert core.view(0, NOW).root_port == 2


def test_a_nearer_neighbour_is_believed_at_once_when_the_root_port_is_lost() -> None:
    core = switch(1, 2)
    core.receive(1, 0, bpdu(0x3C, LOW, COST, HIGH), NOW)
    core.port_down(0, 1, NOW)
    core.receive(2, 0, bpdu(0x7C, LOW, COST, LOWER), NOW)
    assert core.view(0, NOW).root_port == 2


def test_bonus_makes_a_way_shorter_or_longer() -> None:
    core = switch(1, 2)
    core.set_bonus(0, 2, 5_000_000, NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW, port=0x8001), NOW)
    core.receive(2, 0, bpdu(0x3C, LOW, 0, LOW, port=0x8002), NOW)
    assert (core.view(0, NOW).root_port, core.view(0, NOW).cost) == (2, 15_000_000)
    core.set_bonus(0, 2, -1, NOW)
    core.receive(2, 0, bpdu(0x3C, LOW, 0, LOW, port=0x8002), NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW, port=0x8001), NOW)
    assert (core.view(0, NOW).root_port, core.view(0, NOW).cost) == (1, COST)


def test_a_bonus_above_the_cost_does_not_wrap() -> None:
    core = switch(1)
    core.set_bonus(0, 1, 1 << 40, NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 7, LOW), NOW)
    assert core.view(0, NOW).cost == 0


def test_edge_neither_hears_nor_speaks() -> None:
    core = switch(1, 2)
    core.receive(1, 0, bpdu(0x7C, OWN, COST, HIGH), NOW)
    assert core.port_state(0, 1) == (False, False)
    events(core)
    core.set_edge(0, 1, True, NOW)
    assert events(core) == [PortInactive(0, 1), StateChanged(0, 1, learning=True, forwarding=True)]
    core.receive(1, 0, bpdu(0x7C, LOW, 0, LOW), NOW)
    assert core.view(0, NOW).is_root
    assert core.ignored == 1
    core.handle_timer(NOW + 4 * S)
    assert sent(core) == [f"2: 7c {OWN.hex()} 0"]
    core.set_edge(0, 1, False, NOW + 4 * S)
    assert sent(core) == [f"1: 3c {OWN.hex()} 0"]


def test_edge_is_forgotten_when_the_port_comes_up_again() -> None:
    core = switch(1)
    core.set_edge(0, 1, True, NOW)
    core.port_down(0, 1, NOW)
    core.port_up(0, 1, tagged=False, now_ns=NOW)
    assert core.view(0, NOW).ports[0].role is Role.DESIGNATED


def test_edge_of_a_port_that_is_down_is_forgotten_too() -> None:
    core = switch()
    core.set_edge(0, 1, True, NOW)
    core.port_up(0, 1, tagged=False, now_ns=NOW)
    assert core.view(0, NOW).ports[0].role is Role.DESIGNATED


def test_a_root_port_that_becomes_an_edge_loses_the_root() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.set_edge(0, 1, True, NOW)
    assert core.view(0, NOW).is_root
    assert RootChanged(0, 0, OWN) in events(core)


def test_disable_opens_all_and_enable_speaks_at_once() -> None:
    core = switch(1, 2)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.receive(2, 0, bpdu(0x7C, LOW, COST, HIGH), NOW)
    core.frames_to_send()
    events(core)
    core.disable(NOW)
    assert events(core) == [
        PortInactive(0, 1),
        PortInactive(0, 2),
        RootChanged(0, 0, OWN),
        StateChanged(0, 2, learning=True, forwarding=True),
    ]
    assert core.next_deadline() is None
    core.handle_timer(NOW + 4 * S)
    assert sent(core) == []
    core.enable(NOW + 5 * S)
    assert sent(core) == [f"{port}: 3c {OWN.hex()} 0" for port in (1, 2)]
    assert core.next_deadline() == NOW + 9 * S


def test_vlans_are_apart() -> None:
    core = switch(1)
    core.add_vlan(5, NOW)
    core.port_up(5, 1, tagged=True, now_ns=NOW)
    core.receive(1, 5, bpdu(0x3C, LOW, 0, LOW, tci=5), NOW)
    assert core.view(5, NOW).root == LOW
    assert core.view(0, NOW).is_root
    core.remove_vlan(5)
    assert core.port_state(5, 1) == (True, True)
    with pytest.raises(KeyError):
        core.view(5, NOW)
    core.receive(1, 5, bpdu(0x3C, LOW, 0, LOW, tci=5), NOW)
    core.handle_timer(NOW + 4 * S)
    with pytest.raises(ValueError, match="VLAN 0 exists"):
        core.add_vlan(0, NOW)


def test_removing_a_vlan_with_everything_pending_leaves_no_deadline_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switch.fstp_tree.SEND_MOST", 2)
    monkeypatch.setattr("switch.fstp_tree.CHANGES_MOST", 1)
    core = switch(1, 2, vlan=7)
    for root, cost in ((LOW, 0), (LOWER, 0), (LOW, 0), (LOWER, 0)):
        core.receive(1, 7, bpdu(0x3D, root, cost, LOW), NOW)
        core.receive(2, 7, bpdu(0x3D, root, cost + COST, HIGH), NOW)
    core.remove_vlan(7)
    assert core.next_deadline() == NOW + 4 * S
    core.handle_timer(NOW + 2 * S)


# Hostile and broken neighbours


def test_information_older_than_it_may_be_is_ignored() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW, age=40 * SECOND), NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW, age=40 * SECOND, max_age=0xFFFF), NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW, age=7 * SECOND, max_age=7 * SECOND), NOW)
    assert core.ignored == 3
    assert core.view(0, NOW).is_root
    assert events(core) == []
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW, age=40 * SECOND - 1), NOW)
    assert core.view(0, NOW).root == LOW


def test_other_protocols_do_not_make_a_port_a_switchs() -> None:
    core = switch(1, 2)
    stp = bytearray(bpdu(0x3C, LOW, 0, LOW))
    stp[19:21] = b"\x00\x00"
    core.receive(2, 0, bytes(stp), NOW)
    core.receive(1, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    assert core.ignored == 1
    assert core.port_state(0, 2) == (True, True)


def test_nobody_tells_us_of_ourselves_as_a_distant_root() -> None:
    core = switch(1, 2)
    core.set_bonus(0, 1, 100 * COST, NOW)
    core.receive(1, 0, bpdu(0x3C, OWN, 0, LOW), NOW)
    assert core.view(0, NOW).root_port == 0
    core.receive(2, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.receive(2, 0, bpdu(0x3C, OWN, 0, LOW), NOW)
    assert (core.view(0, NOW).root_port, core.view(0, NOW).root) == (0, OWN)


def test_a_cost_that_would_wrap_is_no_way_and_its_port_is_blocked() -> None:
    core = switch(1)
    core.receive(1, 0, bpdu(0x3C, LOW, 0xFFFF_FFFF, LOW), NOW)
    assert core.view(0, NOW).is_root
    assert core.port_state(0, 1) == (False, False)
    assert sent(core) == []


def test_a_port_joined_to_itself_is_blocked() -> None:
    core = switch(1)
    core.receive(1, 0, Bpdu(MAC, Flags(0x3C), OWN, 0, OWN, 0x8001).emit(), NOW)
    assert core.port_state(0, 1) == (False, False)


def test_of_two_ports_joined_to_each_other_the_higher_is_blocked() -> None:
    core = switch(1, 2)
    hello1, hello2 = (Bpdu(MAC, Flags(0x7C), OWN, 0, OWN, port).emit() for port in (0x8001, 0x8002))
    core.receive(1, 0, hello2, NOW)
    core.receive(2, 0, hello1, NOW)
    assert [core.port_state(0, port)[1] for port in (1, 2)] == [True, False]


def test_the_root_port_stays_open_when_it_hears_us() -> None:
    core = switch(1, 2)
    core.receive(2, 0, bpdu(0x3C, LOW, 0, LOW), NOW)
    core.receive(2, 0, Bpdu(MAC, Flags(0x7C), LOW, COST, OWN, 0x8001).emit(), NOW)
    core.receive(1, 0, Bpdu(MAC, Flags(0x74), LOW, COST, OWN, 0x8002).emit(), NOW)
    assert [core.port_state(0, port)[1] for port in (1, 2)] == [False, True]


def test_a_flood_of_topology_changes_flushes_eight_times_a_second_and_once_after() -> None:
    core = switch(1, 2, 3)
    for port in (2, 3):
        core.receive(port, 0, bpdu(ROLE_ROOT | 0x70, OWN, COST, HIGH, port=port), NOW)
    core.frames_to_send()
    for _ in range(1000):
        core.receive(1, 0, bpdu(0x3D | ROLE_ROOT, HIGH, 0, HIGH), NOW)
    assert events(core).count(TopologyChanged(0)) == 8
    assert core.next_deadline() == NOW + S
    core.handle_timer(NOW + S)
    assert events(core).count(TopologyChanged(0)) == 1
    core.handle_timer(NOW + 2 * S)
    assert events(core) == []


def test_a_flood_of_bpdus_is_answered_at_most_32_times_a_second_and_once_after() -> None:
    core = switch(1)
    for _ in range(1000):
        core.receive(1, 0, bpdu(0x3C, HIGH, 0, HIGH), NOW)
    assert len(sent(core)) == 31, "and one was sent when the port came up"
    deadline = core.next_deadline()
    assert deadline == NOW + S
    core.handle_timer(deadline)
    assert sent(core) == [f"1: 3c {OWN.hex()} 0"]
    assert core.next_deadline() == NOW + 4 * S


def test_flapping_roots_cost_a_bounded_number_of_frames_and_flushes() -> None:
    core = switch(*range(1, 33))
    for port in range(2, 33):
        core.receive(port, 0, bpdu(0x7C, HIGH, 0, HIGH), NOW)
    core.frames_to_send()
    events(core)
    for number in range(2000):
        core.receive(1, 0, bpdu(0x3D, (LOW, LOWER)[number % 2], 0, LOW), NOW)
    assert len(core.frames_to_send()) <= 32 * 32
    assert events(core).count(TopologyChanged(0)) <= 8


def test_what_waited_is_sent_with_the_next_hello_if_that_comes_first() -> None:
    core = switch(1)
    before_hello = NOW + 4 * S - 1
    for _ in range(100):
        core.receive(1, 0, bpdu(0x3C, HIGH, 0, HIGH), before_hello)
    core.frames_to_send()
    core.handle_timer(NOW + 4 * S)
    assert sent(core) == [f"1: 7c {OWN.hex()} 0"]
    core.handle_timer(NOW + 6 * S)
    assert sent(core) == []


ids = st.sampled_from([LOW, LOWER, HIGH, OWN, bytes(8), NONE]) | st.binary(min_size=8, max_size=8)
strange = st.builds(
    Bpdu,
    source=st.binary(min_size=6, max_size=6),
    flags=st.integers(0, 255).map(Flags),
    root=ids,
    cost=st.sampled_from([0, COST, 0xFFFF_FFFF]) | st.integers(0, 0xFFFF_FFFF),
    bridge=ids,
    port=st.integers(0x8000, 0x8004) | st.integers(0, 0xFFFF),
    age=st.sampled_from([0, SECOND, 40 * SECOND]),
    tci=st.none() | st.integers(0, 0xFFFF),
).map(Bpdu.emit)
steps = st.one_of(
    st.tuples(st.just("frame"), st.integers(0, 4), st.sampled_from([0, 5, 9]), strange | st.binary(max_size=70)),
    st.tuples(st.just("time"), st.integers(0, 20 * S)),
    st.tuples(st.just("up"), st.sampled_from([0, 5]), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("down"), st.sampled_from([0, 5]), st.integers(0, 4)),
    st.tuples(st.just("edge"), st.sampled_from([0, 5]), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("bonus"), st.sampled_from([0, 5]), st.integers(0, 4), st.integers(-(1 << 31), 1 << 31)),
    st.tuples(st.just("enabled"), st.booleans()),
)


@given(st.lists(steps, max_size=60))
def test_whatever_happens_the_state_is_sound(script: list[tuple]) -> None:  # type: ignore[type-arg]
    """No exception; states told are the states that are; deadlines lie ahead; a root port is open and a member."""
    core = Fstp(MAC)
    for vlan in (0, 5):
        core.add_vlan(vlan, NOW)
    now = NOW
    told: dict[tuple[int, int], tuple[bool, bool]] = {}
    active: set[tuple[int, int]] = set()
    members: set[tuple[int, int]] = set()
    for step in script:
        match step:
            case ("frame", port, vlan, octets):
                core.receive(port, vlan, octets, now)
            case ("time", pause):
                now += pause
                core.handle_timer(now)
            case ("up", vlan, port, tagged):
                core.port_up(vlan, port, tagged=tagged, now_ns=now)
                members.add((vlan, port))
                told[vlan, port] = (True, True)
            case ("down", vlan, port):
                core.port_down(vlan, port, now)
                members.discard((vlan, port))
                told.pop((vlan, port), None)
            case ("edge", vlan, port, edge):
                core.set_edge(vlan, port, edge, now)
            case ("bonus", vlan, port, cost):
                core.set_bonus(vlan, port, cost, now)
            case ("enabled", on):
                (core.enable if on else core.disable)(now)
        for event in events(core):
            match event:
                case StateChanged(vlan, port, learning, forwarding):
                    if (vlan, port) in members:
                        told[vlan, port] = (learning, forwarding)
                case PortActive(vlan, port):
                    assert (vlan, port) not in active
                    active.add((vlan, port))
                case PortInactive(vlan, port):
                    active.remove((vlan, port))
        assert told == {member: core.port_state(*member) for member in members}
        assert active <= members
        for port, frame in core.frames_to_send():
            what = parse(frame)
            assert {0, 5} & {vlan for vlan, member in members if member == port and what.tci in (None, vlan)}
            assert what.flags & ROLE_DESIGNATED, "no role 00"
        core.handle_timer(now)
        deadline = core.next_deadline()
        assert (deadline is not None and deadline > now) == core.enabled
        for vlan in (0, 5):
            view = core.view(vlan, now)
            assert view.root <= OWN
            assert view.is_root == (view.root == OWN)
            roots = [port for port in view.ports if port.role is Role.ROOT]
            assert len(roots) == (0 if view.is_root else 1)
            assert all(core.port_state(vlan, port.port) == (True, True) for port in roots)
