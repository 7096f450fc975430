"""Cables between switches: frames of every size cross, both ways, and a cable ends with a switch."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab_runner import PATIENCE_S, VDE, LabRunner, Watched
from tests.switch_process import SwitchProcess
from tests.vde_client import VdeClient, frame

CHAIN = """
nodes:
  one: {kind: switch}
  two: {kind: switch}
  three: {kind: hub}
links: [one:7 -- two:9, two -- three]
"""


def test_frames_cross_a_chain_of_switches_both_ways(labs: LabRunner) -> None:
    labs.write(CHAIN)
    labs.vde("up")
    nodes = labs.nodes()
    with VdeClient(Path(nodes["one"]["directory"])) as near, VdeClient(Path(nodes["three"]["directory"])) as far:
        for size in (0, 46, 1486, 9000):
            there = frame(1, None, os.urandom(size))
            near.send(there)
            assert far.receive() == there
            back = frame(2, 1, os.urandom(size))
            far.send(back)
            assert near.receive() == back
    assert nodes["one--two"]["ends"] == [{"segment": "one", "port": 7}, {"segment": "two", "port": 9}]


def test_a_burst_crosses_in_order(labs: LabRunner) -> None:
    labs.write(CHAIN)
    labs.vde("up")
    nodes = labs.nodes()
    with VdeClient(Path(nodes["one"]["directory"])) as near, VdeClient(Path(nodes["three"]["directory"])) as far:
        for first in range(0, 400, 20):
            sent = [frame(1, None, number.to_bytes(4)) for number in range(first, first + 20)]
            for octets in sent:
                near.send(octets)
            assert [far.receive() for _ in sent] == sent


def test_a_cable_ends_with_its_switch_and_up_mends_it(labs: LabRunner) -> None:
    labs.write(CHAIN)
    labs.vde("up")
    pids = labs.pids()
    with Watched({name: pids[name] for name in ("two", "one--two", "two--three")}) as processes:
        os.kill(pids["two"], signal.SIGKILL)
        processes.wait_all()
    nodes = labs.nodes()
    assert {name for name, node in nodes.items() if node["state"] == "dead"} == {"two", "one--two", "two--three"}
    labs.vde("up")
    after = labs.pids()
    assert (after["one"], after["three"]) == (pids["one"], pids["three"])
    nodes = labs.nodes()
    with VdeClient(Path(nodes["one"]["directory"])) as near, VdeClient(Path(nodes["three"]["directory"])) as far:
        near.send(frame(1))
        assert far.receive() == frame(1)


def test_sigterm_ends_a_cable(start_switch: Callable[..., SwitchProcess]) -> None:
    one, other = start_switch(name="a"), start_switch(name="b")
    cable = subprocess.Popen([VDE, "cable", f"{one.directory}[3]", f"{other.directory}[0]"])
    try:
        with VdeClient(one.directory) as near, VdeClient(other.directory) as far:
            far.data.settimeout(0.2)
            while True:  # until it is plugged in
                near.send(frame(1))
                try:
                    assert far.receive() == frame(1)
                    break
                except TimeoutError:
                    continue
        cable.terminate()
        assert cable.wait(PATIENCE_S) == 1
    finally:
        cable.kill()
        cable.wait()


@pytest.mark.parametrize(
    ("ends", "status", "text"),
    [
        (["/nonexistent[1]", "/nonexistent[2]"], 1, "/nonexistent: No such file or directory"),
        (["here", "there"], 2, "'here': DIRECTORY[PORT] was expected"),
    ],
)
def test_cables_to_nowhere(ends: list[str], status: int, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vde.cli.main", "cable", *ends], capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert text in done.stderr


def test_a_port_that_is_out_of_range_is_refused(start_switch: Callable[..., SwitchProcess]) -> None:
    one = start_switch("-n", "4")
    done = subprocess.run(
        [VDE, "cable", f"{one.directory}[3]", f"{one.directory}[99]"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the switch refused port 99" in done.stderr
