"""What is stopped and started, and who gets which port. Pure functions."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.lab.messages import ImageFiles
from vde.lab.plan import Running, fingerprint, make_plan
from vde.lab.ports import allot
from vde.lab.read import load
from vde.lab.resolved import Guest, Lab, attachments
from vde.lab.station import mac_address

IMAGE = ImageFiles(
    kernel=Path("/k"), initrd=Path("/i"), kernel_version="1", cmdline="quiet", kernel_sha256="a", initrd_sha256="b"
)
IMAGES = {"debian-i386": IMAGE, "debian-malta": IMAGE}

BASE = """
nodes:
  sw: {kind: switch}
  a: {kind: qemu, image: debian-i386}
  b: {kind: qemu, image: debian-malta}
  far: {kind: switch}
links: [a -- sw, b -- sw, sw -- far]
"""


@pytest.fixture
def lab_of(tmp_path: Path):  # type: ignore[no-untyped-def]
    def lab_of(text: str) -> Lab:
        file = tmp_path / "lab.yml"
        file.write_text(text)
        return load(file)

    return lab_of


def running(lab: Lab) -> dict[str, Running]:
    return {name: Running(fingerprint(node, IMAGES), True) for name, node in lab.nodes.items()}


def actions(now: dict[str, Running], wanted: Lab, *, recreate: bool = False) -> dict[str, str]:
    return {step.node: step.action for step in make_plan(now, wanted, IMAGES, recreate=recreate)}


def test_from_nothing_everything_starts(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    assert set(actions({}, lab).values()) == {"start"}


def test_the_same_stays(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    assert set(actions(running(lab), lab).values()) == {"keep"}
    assert set(actions(running(lab), lab, recreate=True).values()) == {"restart"}


def test_labels_and_order_are_no_change(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    text = BASE.replace("image: debian-i386", "labels: {x: y}, depends_on: [b], image: debian-i386")
    assert set(actions(running(lab), allot(lab_of(text), lab)).values()) == {"keep"}


def test_what_is_plugged_in_goes_with_its_segment(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    wanted = allot(lab_of(BASE.replace("far: {kind: switch}", "far: {kind: switch, fstp: true}")), lab)
    assert actions(running(lab), wanted) == {
        "sw": "keep",
        "a": "keep",
        "b": "keep",
        "far": "restart",
        "sw--far": "restart",
    }


def test_a_dead_node_is_restarted(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    now = running(lab)
    now["sw"] = Running(now["sw"].fingerprint, False)
    assert actions(now, lab) == {"sw": "restart", "a": "restart", "b": "restart", "far": "keep", "sw--far": "restart"}


def test_another_kernel_is_a_change_for_its_guests_only(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    now = running(lab)
    newer = {**IMAGES, "debian-i386": IMAGE.model_copy(update={"kernel_sha256": "c"})}
    steps = {step.node: step.action for step in make_plan(now, lab, newer)}
    assert {name for name, action in steps.items() if action == "restart"} == {"a"}


def test_a_new_link_before_the_others_moves_nobody(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    text = BASE.replace("links: [", "links: [new -- sw, ").replace(
        "  far:", "  new: {kind: qemu, image: debian-i386}\n  far:"
    )
    wanted = allot(lab_of(text), lab)
    assert {name for name, action in actions(running(lab), wanted).items() if action != "keep"} == {"new"}


def test_a_chosen_port_takes_precedence_over_one_that_was_allotted(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    wanted = allot(lab_of(BASE.replace("b -- sw", "b -- sw:1")), lab)
    ports = {name: attachments(node)[0].port for name, node in wanted.nodes.items() if isinstance(node, Guest)}
    assert ports == {"a": 2, "b": 1}


@given(st.data())
def test_ports_are_unique_and_stay(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever the links, before and after a change: no port twice, none out of range, none moved without need."""
    file = tmp_path_factory.getbasetemp() / "ports.yml"
    before: Lab | None = None
    for _ in range(2):
        guests = data.draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1))
        chosen = data.draw(st.dictionaries(st.sampled_from(guests), st.integers(1, 12), max_size=4))
        chosen = {guest: port for port, guest in {port: guest for guest, port in chosen.items()}.items()}
        links = [f"{guest} -- sw" + (f":{chosen[guest]}" if guest in chosen else "") for guest in guests]
        nodes = "".join(f"  {guest}: {{kind: qemu, image: debian-i386}}\n" for guest in guests)
        file.write_text(f"nodes:\n  sw: {{kind: switch}}\n{nodes}links: [{', '.join(links)}]\n")
        lab = allot(load(file), before)
        plugs = {name: attachments(node)[0] for name, node in lab.nodes.items() if isinstance(node, Guest)}
        ports = [plug.port for plug in plugs.values()]
        assert len(set(ports)) == len(ports)
        assert all(port in range(1, 33) for port in ports)
        assert {name: plug.port for name, plug in plugs.items() if plug.chosen} == chosen
        if before is not None:
            for name, plug in plugs.items():
                now = before.nodes.get(name)
                if now and not plug.chosen and not attachments(now)[0].chosen:
                    kept = attachments(now)[0].port
                    assert plug.port == kept or kept in chosen.values()
        before = lab


def test_mac_addresses_follow_from_the_names_alone() -> None:
    assert mac_address("lab", "seed", "node", "eth0") == "02:64:a0:32:e3:5b"
    others = {
        mac_address(*names)
        for names in [
            ("lab", "seed", "node", "eth0"),
            ("lab2", "seed", "node", "eth0"),
            ("lab", "seed2", "node", "eth0"),
            ("lab", "seed", "node2", "eth0"),
            ("lab", "seed", "node", "eth1"),
            ("labs", "eed", "node", "eth0"),
        ]
    }
    assert len(others) == 6
    assert all(address.startswith("02:") for address in others)


@given(st.text(), st.text(), st.text(), st.text())
def test_mac_addresses_are_of_one_station_and_local(lab: str, seed: str, node: str, interface: str) -> None:
    octets = bytes.fromhex(mac_address(lab, seed, node, interface).replace(":", ""))
    assert len(octets) == 6
    assert octets[0] == 2


def test_a_lab_survives_the_way_to_the_supervisor(lab_of) -> None:  # type: ignore[no-untyped-def]
    lab = allot(lab_of(BASE))
    assert Lab.model_validate_json(lab.model_dump_json()) == lab
