"""Which link a text means, and where a capture listens to it. Pure functions."""

from pathlib import Path

import pytest

from vde.lab.links import capture_points, select
from vde.lab.ports import allot
from vde.lab.read import load
from vde.lab.resolved import Lab

LAB = """
nodes:
  sw: {kind: switch}
  far-away: {kind: switch}
  web: {kind: qemu, image: debian-i386}
  term: {kind: qemu, image: debian-i386}
  out: {kind: plug, vnl: "null://"}
links:
  - {name: slow, endpoints: [web:eth0, "sw:3"], impair: {delay: 1ms}}
  - term -- sw
  - sw -- far-away
  - {name: lan, endpoints: [web, {node: term, impair: {}}, far-away]}
  - out -- far-away
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    file = tmp_path / "lab.yml"
    file.write_text(LAB)
    return allot(load(file))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("slow", ["slow"]),
        (" slow ", ["slow"]),
        ("web--sw", ["slow"]),
        ("sw -- web", ["slow"]),
        ("web:eth0--sw:3", ["slow"]),
        ("sw:3--web", ["slow"]),
        ("sw:4--web", []),
        ("web:eth0", ["slow web:eth0"]),
        ("sw:3", ["slow sw:3"]),
        ("term--sw", ["term--sw"]),
        ("term:eth0", ["term--sw term:eth0"]),
        ("far-away--sw", ["sw--far-away"]),
        ("web:eth1", ["lan web:eth1"]),
        ("*l*", ["slow", "lan"]),
        ("web", []),
        ("sw", []),
        ("", []),
        ("--", []),
    ],
)
def test_what_a_text_means(lab: Lab, text: str, found: list[str]) -> None:
    chosen = select(lab.links.values(), text)
    assert [f"{link.name} {end}" if end else link.name for link, end in chosen] == found


def points(lab: Lab, *selected: str) -> list[tuple[object, ...]]:
    return [
        (point.name, point.segment, point.port, point.sends_in, point.ways, point.wire, point.wire_end)
        for point in capture_points(lab, selected)
    ]


def test_a_wire_is_heard_at_both_ends_as_they_send(lab: Lab) -> None:
    assert points(lab, "slow") == [
        ("slow@web:eth0", "slow.web", 1, True, "out", "slow", 0),
        ("slow@sw:3", "sw", 3, False, "out", "slow", 1),
    ]


def test_one_end_is_heard_both_ways(lab: Lab) -> None:
    assert points(lab, "web:eth0") == [("slow@web:eth0", "slow.web", 1, True, "both", "slow", 0)]


def test_a_plain_link_is_heard_at_its_first_end(lab: Lab) -> None:
    assert points(lab, "sw--term") == [("term--sw@term:eth0", "sw", 1, True, "both", None, 0)]
    assert points(lab, "far-away--sw") == [("sw--far-away@sw:2", "sw", 2, False, "both", None, 0)]
    assert points(lab, "out--far-away") == [("out--far-away@out", "far-away", 1, True, "both", None, 0)]


def test_a_shared_segment_is_heard_at_every_sender(lab: Lab) -> None:
    assert points(lab, "lan") == [
        ("lan@web:eth1", "lan", 1, True, "out", None, 0),
        ("lan@term:eth1", "lan.term.term", 1, True, "out", "lan.term", 0),
        ("lan@far-away:3", "far-away", 3, False, "out", None, 0),
    ]


def test_no_place_is_heard_twice(lab: Lab) -> None:
    names = [point.name for point in capture_points(lab, ["slow", "web--sw", "s*"])]
    assert names == ["slow@web:eth0", "slow@sw:3", "sw--far-away@sw:2"]
