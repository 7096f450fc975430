"""Impaired links of a running lab: what the file says holds, and can be changed while the lab runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab_runner import LabRunner
from tests.vde_client import VdeClient, frame

LAB = """
seed: 7
nodes: {one: {kind: switch}, two: {kind: switch}, three: {kind: hub}, pc: {kind: qemu, image: debian-i386}}
links:
  - one -- two
  - {name: slow, endpoints: [two, three], impair: {loss: 100%}}
  - endpoints: [{node: pc, impair: {delay: 1ms}}, one]
    schedule: [1h down]
"""


def shown(labs: LabRunner, wire: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(labs.vde("wire", "show", wire, "--format", "json"))
    return found


def crosses(sender: VdeClient, receiver: VdeClient, number: int) -> bool:
    """Whether a frame arrives; a second one, on the way back, tells that nothing more comes."""
    sender.send(frame(1, None, number.to_bytes(4)))
    receiver.data.settimeout(0.5)
    try:
        return receiver.receive() == frame(1, None, number.to_bytes(4))
    except TimeoutError:
        return False


def test_what_is_set_live_merges_and_reset_returns_to_the_file(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up", "--no-checks")
    nodes = labs.nodes()
    assert {name: node["kind"] for name, node in nodes.items() if node["kind"] in ("wire", "cable")} == {
        "one--two": "cable",
        "slow": "wire",
        "pc--one": "wire",
    }
    assert nodes["pc--one"]["ends_of_link"] == ["pc:eth0", "one"]
    assert nodes["pc--one.pc"]["implied"]
    with VdeClient(Path(nodes["one"]["directory"])) as near, VdeClient(Path(nodes["three"]["directory"])) as far:
        assert not crosses(near, far, 1)
        labs.vde("wire", "set", "slow", "loss=none", "delay=5ms", "dir=a>b")
        assert crosses(near, far, 2)
        assert shown(labs, "two--three")["left-to-right"]["settings"] == {"delay": "5ms"}
        assert shown(labs, "three -- two")["right-to-left"]["settings"] == {"loss": "100%"}
        labs.vde("wire", "clear", "three--two")
        assert crosses(near, far, 3)
        labs.vde("wire", "down", "lab/slow")
        assert not crosses(near, far, 4)
        labs.vde("wire", "up", "slow")
        labs.vde("wire", "reset", "slow")
        assert not crosses(near, far, 5)
    assert shown(labs, "pc:eth0")["left-to-right"]["settings"] == {"delay": "1ms"}
    assert shown(labs, "one--pc")["right-to-left"]["settings"] == {}
    seeds = {shown(labs, wire)["seed"] for wire in ("slow", "pc--one")}
    assert seeds == {"7"}, "a wire's decisions follow from the lab's seed and its own name"


def test_a_link_without_a_wire_says_how_to_get_one(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up", "--no-checks")
    assert "link 'one--two' of lab 'lab' has no wire" in labs.vde("wire", "set", "two--one", "loss=1%", status=2)
    assert "no wire 'nothing' is running" in labs.vde("wire", "show", "nothing", status=4)


def test_another_impairment_in_the_file_restarts_the_wire_only(labs: LabRunner) -> None:
    labs.write(LAB)
    labs.vde("up", "--no-checks")
    before = labs.pids()
    labs.write(LAB.replace("100%", "50%"))
    assert "slow             restart: changed" in labs.vde("up", "--no-checks")
    after = labs.pids()
    assert {name for name in before if before[name] != after[name]} == {"slow"}
    assert shown(labs, "slow")["left-to-right"]["settings"] == {"loss": "50%"}


@pytest.mark.parametrize("text", ["trace: nowhere.trace", "distribution: ./nowhere.dist"])
def test_a_file_that_is_not_there_is_the_last_word_of_the_wire(labs: LabRunner, text: str) -> None:
    labs.write(LAB.replace("loss: 100%", f"jitter: 1ms, {text}"))
    output = labs.vde("up", "--no-checks", status=1)
    assert "node 'slow': exit status 2" in output
    assert f"{labs.directory}/nowhere." in output
    assert labs.nodes()["slow"]["state"] == "dead"
