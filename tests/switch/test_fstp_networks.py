"""The spanning tree in networks, in virtual time: just enough is blocked, no circle lasts, what dies is replaced."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from switch.bpdu import Bpdu, Flags
from switch.fstp import Role, RootChanged
from tests.switch.fstp_network import MS, SECOND, Cable, Network

SHORT = 20 * MS
"""A circle may be open while a few BPDUs cross cables of a few milliseconds."""


def roles(network: Network, name: str, vlan: int = 0) -> dict[int, Role]:
    view = network.nodes[name].core.view(vlan, network.now_ns)
    return {port.port: port.role for port in view.ports}


def blocked(network: Network, vlan: int = 0) -> list[Cable]:
    return [cable for cable in network.cables if cable not in network.open_cables(vlan)]


def ring(names: str, **more: int) -> tuple[Network, list[Cable]]:
    """Switches in a circle, the first the root; port 1 to the next one, port 2 to the one before."""
    network = Network()
    for number, name in enumerate(names):
        network.add(name, number + 1, start_after_ns=number * 300 * MS)
    cables = [network.join((name, 1), (names[(i + 1) % len(names)], 2), **more) for i, name in enumerate(names)]
    network.run(SECOND)
    return network, cables


def test_two_switches_and_one_cable() -> None:
    network = Network()
    network.add("a", 1)
    network.add("b", 2)
    network.join(("a", 1), ("b", 7))
    network.run(SECOND)
    assert roles(network, "a") == {1: Role.DESIGNATED}
    assert roles(network, "b") == {7: Role.ROOT}
    assert blocked(network) == []
    view = network.nodes["b"].core.view(0, network.now_ns)
    assert (view.root, view.designated, view.cost) == (bytes.fromhex("800000ff00000001"),) * 2 + (20_000_000,)


def test_the_lowest_priority_becomes_the_root_whatever_its_address() -> None:
    network = Network()
    network.add("a", 1)
    network.add("b", 2, priority=0x7FFF)
    network.join(("a", 1), ("b", 1))
    network.run(SECOND)
    assert network.nodes["b"].core.view(0, network.now_ns).is_root


def test_of_two_parallel_cables_the_lower_port_stays_and_the_other_takes_over() -> None:
    network = Network()
    network.add("a", 1)
    network.add("b", 2)
    first, second = network.join(("a", 1), ("b", 2)), network.join(("a", 2), ("b", 1))
    network.run(5 * SECOND)
    assert network.open_cables() == [first], "the root's lower port"
    assert roles(network, "a") == {1: Role.DESIGNATED, 2: Role.BACKUP}
    assert roles(network, "b") == {1: Role.BACKUP, 2: Role.ROOT}
    network.cut(first)
    network.run(10 * MS)
    assert network.open_cables() == [second]
    assert network.looping_ns[0] < SHORT


def test_triangle() -> None:
    network, cables = ring("abc")
    assert blocked(network) == [cables[1]], "the one away from the root"
    network.check_trees()
    for cable in (cables[0], cables[2]):
        network.cut(cable)
        network.run(SECOND)
        network.check_trees()
    assert network.looping_ns[0] < SHORT


def test_square_survives_any_cable() -> None:
    for index in range(4):
        network, cables = ring("abcd")
        assert len(blocked(network)) == 1
        network.check_trees()
        network.cut(cables[index])
        network.run(SECOND)
        assert blocked(network) == []
        network.check_trees()
        ends = cables[index].a, cables[index].b
        network.join(*ends)
        network.run(SECOND)
        assert len(blocked(network)) == 1
        network.check_trees()
        assert network.looping_ns[0] < 2 * SHORT


def test_square_survives_its_root() -> None:
    network, _ = ring("abcd")
    network.kill("a")
    network.run(SECOND)
    network.check_trees()
    assert network.nodes["b"].core.view(0, network.now_ns).is_root
    assert {node.core.view(0, 0).root for node in network.nodes.values()} == {bytes.fromhex("800000ff00000002")}
    assert network.looping_ns[0] < SHORT


def test_a_root_that_hangs_is_replaced_after_three_hellos() -> None:
    network, _ = ring("abcd")
    network.kill("a", noticed=False)
    network.run(11 * SECOND)
    assert network.nodes["b"].core.view(0, network.now_ns).root == bytes.fromhex("800000ff00000001")
    network.run(10 * SECOND)
    alive = [node.core for name, node in network.nodes.items() if name != "a"]
    assert {core.view(0, 0).root for core in alive} == {bytes.fromhex("800000ff00000002")}
    assert all(network.forwards(end, 0) for end in (("b", 1), ("c", 1), ("c", 2), ("d", 2)))
    assert network.looping_ns[0] < SHORT


def test_a_root_that_dies_is_not_remembered_by_the_ring_it_hung_on() -> None:
    """Switches of a circle can tell one another of a root that nobody hears any more: for ever, if they believe it."""
    network, _ = ring("bcdefg")
    network.add("a", 0)
    network.join(("a", 1), ("b", 3))
    network.run(SECOND)
    assert {node.core.view(0, 0).root for node in network.nodes.values()} == {bytes.fromhex("800000ff00000000")}
    for node in network.nodes.values():
        node.events.clear()
        node.sent.clear()
    network.kill("a")
    network.run(SECOND)
    network.check_trees()
    assert network.nodes["b"].core.view(0, network.now_ns).is_root
    changes = [event for node in network.nodes.values() for event in node.events if isinstance(event, RootChanged)]
    assert len(changes) <= 4 * len(network.nodes)
    assert max(max(node.sent.values()) for node in network.nodes.values()) < 32
    assert network.looping_ns[0] < SHORT


def test_four_switches_each_joined_to_each() -> None:
    network = Network()
    for number, name in enumerate("abcd"):
        network.add(name, number)
    for i, a in enumerate("abcd"):
        for j, b in list(enumerate("abcd"))[i + 1 :]:
            network.join((a, j), (b, i))
    network.run(SECOND)
    network.check_trees()
    assert [{cable.a[0], cable.b[0]} for cable in network.open_cables()] == [{"a", "b"}, {"a", "c"}, {"a", "d"}]
    network.kill("a")
    network.run(SECOND)
    network.check_trees()
    assert network.looping_ns[0] < SHORT


def test_a_cable_that_dies_unnoticed_is_replaced_after_three_hellos() -> None:
    network, cables = ring("abc")
    network.cut(cables[0], noticed=False)
    network.run(20 * SECOND)
    assert network.open_cables() == [cables[1], cables[2]]
    assert network.looping_ns[0] < SHORT


def test_a_bonus_moves_the_root_port() -> None:
    network = Network()
    network.add("a", 1)
    b = network.add("b", 2)
    first, second = network.join(("a", 1), ("b", 1)), network.join(("a", 2), ("b", 2))
    network.run(SECOND)
    assert network.open_cables() == [first]
    b.set_bonus(0, 2, 1, network.now_ns)
    network.touch("b")
    network.run(5 * SECOND)
    assert network.open_cables() == [second]
    assert roles(network, "b") == {1: Role.BACKUP, 2: Role.ROOT}
    view = b.view(0, network.now_ns)
    assert (view.root_port, view.cost, view.bonus_port, view.bonus_cost) == (2, 19_999_999, 2, 1)


def test_vlans_block_different_cables() -> None:
    network = Network(vlans=(0, 5))
    network.add("a", 1)
    b = network.add("b", 2)
    first, second = network.join(("a", 1), ("b", 1)), network.join(("a", 2), ("b", 2))
    b.set_bonus(5, 2, 1_000_000, network.now_ns)
    network.run(5 * SECOND)
    assert network.open_cables(0) == [first]
    assert network.open_cables(5) == [second]
    network.check_trees()
    network.cut(first)
    network.run(SECOND)
    assert network.open_cables(0) == network.open_cables(5) == [second]


def test_an_edge_shuts_a_guest_out_that_claims_to_be_the_root() -> None:
    network, _ = ring("abc")
    core = network.add("d", 9)
    network.join(("d", 1), ("b", 3))
    network.join(("d", 2), ("c", 3))
    core.port_up(0, 7, tagged=False, now_ns=network.now_ns)
    core.set_edge(0, 7, True, network.now_ns)
    network.run(SECOND)
    network.check_trees()
    before = network.open_cables()
    forged = Bpdu(bytes(6), Flags(0x3D), bytes(8), 0, bytes(8), 0x8001).emit()
    for _ in range(100):
        core.receive(7, 0, forged, network.now_ns)
    network.touch("d")
    network.run(SECOND)
    assert network.open_cables() == before
    assert core.ignored == 100
    assert network.forwards(("d", 7), 0)


def test_a_chain_longer_than_other_spanning_trees_allow() -> None:
    network = Network()
    names = [f"s{number:02d}" for number in range(30)]
    for number, name in enumerate(names):
        network.add(name, number, start_after_ns=number * 67 * MS)
    for one, other in itertools.pairwise(names):
        network.join((one, 1), (other, 2))
    network.run(10 * SECOND)
    network.check_trees()
    last = network.nodes[names[-1]].core.view(0, network.now_ns)
    assert (last.root, last.cost) == (bytes.fromhex("800000ff00000000"), 29 * 20_000_000)


def test_turned_on_in_a_running_network_it_opens_the_circle_at_once() -> None:
    network, _ = ring("abc")
    for name, node in network.nodes.items():
        node.core.disable(network.now_ns)
        network.touch(name)
    assert network.loops()
    for name, node in network.nodes.items():
        node.core.enable(network.now_ns)
        network.touch(name)
    network.looping_ns.clear()
    network.run(SECOND)
    network.check_trees()
    assert network.looping_ns[0] < SHORT


@st.composite
def networks(draw: st.DrawFn) -> tuple[Network, st.DataObject]:
    """Up to six switches, joined, with up to five surplus cables (a cable may join a switch to itself)."""
    network = Network()
    names = "abcdef"[: draw(st.integers(2, 6))]
    for name, mac in zip(names, draw(st.permutations(range(len(names)))), strict=True):
        priority = draw(st.sampled_from([0x8000, 0x1000]))
        network.add(name, mac, priority, start_after_ns=draw(st.integers(0, 4 * SECOND)))
    pairs = [(name, draw(st.sampled_from(names[:i]))) for i, name in enumerate(names) if i]
    pairs += draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=5))
    for number, (a, b) in enumerate(pairs):
        network.join((a, 2 * number), (b, 2 * number + 1), draw(st.integers(MS // 10, 5 * MS)))
        network.run(draw(st.sampled_from([0, MS, SECOND])))
    return network, draw(st.data())


@given(networks())
def test_any_network_becomes_a_tree_and_stays_one(drawn: tuple[Network, st.DataObject]) -> None:
    """Whatever is cut, joined or killed: within a second a tree again, and no circle longer than a few BPDUs take."""
    network, data = drawn
    network.run(SECOND)
    network.check_trees()
    for number in range(data.draw(st.integers(0, 4))):
        network.looping_ns.clear()
        match data.draw(st.sampled_from(["cut", "kill", "join", "hello"])):
            case "cut" if network.cables:
                network.cut(data.draw(st.sampled_from(network.cables)))
            case "kill" if len(network.nodes) > 1:
                network.kill(data.draw(st.sampled_from(sorted(network.nodes))))
            case "join":
                a, b = (data.draw(st.sampled_from(sorted(network.nodes))) for _ in "ab")
                network.join((a, 100 + 2 * number), (b, 101 + 2 * number))
            case _:
                network.run(data.draw(st.integers(0, 20 * SECOND)))
        network.run(SECOND)
        network.check_trees()
        assert network.looping_ns[0] < 50 * MS


@given(networks())
def test_any_network_survives_what_nobody_notices(drawn: tuple[Network, st.DataObject]) -> None:
    """A cable or a switch that falls silent is routed around within 16 seconds."""
    network, data = drawn
    network.run(SECOND)
    network.looping_ns.clear()
    cable = data.draw(st.none() | st.sampled_from(network.cables))
    if cable is not None:
        network.cut(cable, noticed=False)
    elif len(network.nodes) > 1:
        name = data.draw(st.sampled_from(sorted(network.nodes)))
        network.kill(name, noticed=False)
        network.cables = [cable for cable in network.cables if name not in (cable.a[0], cable.b[0])]
        del network.nodes[name]
    network.run(17 * SECOND)
    network.check_trees()
    assert network.looping_ns[0] < 50 * MS
