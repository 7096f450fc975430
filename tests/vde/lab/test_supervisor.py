"""A lab's life, with real processes: what starts, what ends, and that nothing stays behind whoever is killed."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner, Watched, make_image
from vde.lab.client import Connection
from vde.lab.errors import LabFailed
from vde.lab.messages import Status
from vde.lab.places import Home

TWO_SWITCHES = """
name: two
nodes:
  sw1: {kind: switch}
  sw2: {kind: hub}
links: [sw1 -- sw2]
"""
SWITCH_AND_GUESTS = """
name: guests
nodes:
  sw: {kind: switch}
  a: {kind: qemu, image: debian-i386, ipv4: 10.0.0.1/24}
  b: {kind: qemu, image: debian-malta, ipv4: 10.0.0.2/24}
links: [a -- sw, b -- sw]
"""
SILENT = """
name: silent
nodes:
  sw: {kind: switch}
  a: {kind: qemu, image: debian-i386, cmdline: fake.silent}
links: [a -- sw]
"""


def test_up_ps_up_down(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    assert "two: up\n" in labs.vde("up")
    nodes = labs.nodes()
    assert {name: (node["kind"], node["state"]) for name, node in nodes.items()} == {
        "sw1": ("switch", "ready"),
        "sw2": ("hub", "ready"),
        "sw1--sw2": ("cable", "ready"),
    }
    assert Path(nodes["sw1"]["directory"], "ctl").is_socket()
    with Watched(labs.pids()) as processes:
        before = labs.pids()
        assert "two: up to date\n" in labs.vde("up")
        assert labs.pids() == before
        assert labs.vde("down") == "two: down\n"
        processes.wait_all()
    labs.assert_nothing_is_left()
    assert labs.vde("ps", "--json") == "[]\n"
    assert "no lab is running" in labs.vde("down", status=4)


def test_guests_become_ready_on_their_switch(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    output = labs.vde("up")
    assert "hostname=a" in output
    nodes = labs.nodes()
    assert nodes["a"]["interfaces"][0]["port"] == 1
    assert nodes["b"]["interfaces"][0]["port"] == 2
    assert nodes["a"]["text"] == "hostname=a"
    record = json.loads((labs.directory / ".vde" / "guests" / "run.json").read_text())
    assert record["seed"] == "guests"
    assert set(record["images"]) == {"debian-i386", "debian-malta"}
    assert record["versions"]["qemu-system-mipsel"] == "fake-qemu 1"
    assert "name: guests" in (labs.directory / ".vde" / "guests" / "resolved.yml").read_text()


def test_killing_the_supervisor_kills_every_node(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.vde("up")
    with Watched(labs.pids()) as processes:
        assert processes.alive() == {"", "sw", "a", "b"}
        os.kill(labs.pids()[""], signal.SIGKILL)
        processes.wait_all()
    assert labs.status()["running"] is False
    assert "its supervisor was killed" in labs.vde("ps")
    assert "guests: up\n" in labs.vde("up"), "what was left is no obstacle"
    os.kill(labs.pids()[""], signal.SIGKILL)
    assert "removed what was left" in labs.vde("down")
    labs.assert_nothing_is_left()


def test_sigterm_to_the_supervisor_takes_the_lab_down(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.vde("up")
    with Watched(labs.pids()) as processes:
        os.kill(labs.pids()[""], signal.SIGTERM)
        processes.wait_all()
    labs.assert_nothing_is_left()


def test_a_node_that_dies_is_shown_with_how_it_ended_and_started_again_by_up(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.vde("up")
    before = labs.pids()
    with Watched({"a": before["a"]}) as processes:
        os.kill(before["a"], signal.SIGKILL)
        processes.wait_all()
    node = labs.nodes()["a"]
    assert (node["state"], node["text"], node["pid"]) == ("dead", "killed by SIGKILL", None)
    assert "vde-guest ready: hostname=a" in node["last_lines"]
    text = labs.vde("ps")
    assert "last lines of a:" in text
    assert labs.nodes()["b"]["state"] == "ready", "the others are not concerned"
    output = labs.vde("up")
    assert "restart: it was dead" in output
    after = labs.pids()
    assert after["a"] != before["a"]
    assert (after["b"], after["sw"], after[""]) == (before["b"], before["sw"], before[""])


def test_what_is_plugged_into_a_dead_switch_is_started_again_with_it(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.vde("up")
    before = labs.pids()
    with Watched({"sw": before["sw"]}) as processes:
        os.kill(before["sw"], signal.SIGKILL)
        processes.wait_all()
    assert labs.nodes()["sw"]["text"] == "killed by SIGKILL"
    output = labs.vde("up")
    assert "'sw' is started anew" in output
    after = labs.pids()
    assert not set(after.values()) & {before["sw"], before["a"], before["b"]}
    assert {node["state"] for node in labs.nodes().values()} == {"ready"}


def test_a_guest_that_cannot_start_ends_up_with_its_last_words(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS.replace("debian-i386,", "debian-i386, cmdline: fake.die=7,"))
    output = labs.vde("up", status=1)
    assert "node 'a': exit status 7\n    fake-qemu: it was told to die" in output
    nodes = labs.nodes()
    assert nodes["a"]["state"] == "dead"
    assert nodes["b"]["state"] == "ready", "the rest runs, to be looked at"
    labs.write(SWITCH_AND_GUESTS)
    assert "guests: up\n" in labs.vde("up")


def test_a_guest_that_is_not_ready_in_time(labs: LabRunner) -> None:
    labs.write(SILENT)
    output = labs.vde("up", "--timeout", "2s", status=1)
    assert "node 'a': it is not ready after 2 s" in output
    assert "    booting" in output
    assert labs.nodes()["a"]["state"] == "starting"


def test_ctrl_c_during_the_first_up_takes_everything_back(labs: LabRunner) -> None:
    labs.write(SILENT)
    up = labs.start("up")
    up.wait_for("a                starting")
    with Watched(labs.pids()) as processes:
        up.interrupt()
        assert up.wait() == 130
        processes.wait_all()
    assert b"silent: down, nothing is left running" in up.output
    labs.assert_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_up_that_is_killed_leaves_nothing(labs: LabRunner, number: signal.Signals) -> None:
    labs.write(SILENT)
    up = labs.start("up")
    up.wait_for("a                starting")
    with Watched(labs.pids()) as processes:
        up.interrupt(number)
        assert up.wait() == -number
        processes.wait_all()
    labs.assert_nothing_is_left()


def test_a_supervisor_that_is_killed_during_up_is_told(labs: LabRunner) -> None:
    labs.write(SILENT)
    up = labs.start("up")
    up.wait_for("a                starting")
    os.kill(labs.pids()[""], signal.SIGKILL)
    assert up.wait() == 1
    assert b"the supervisor of lab 'silent' has ended" in up.output


def test_a_supervisor_that_hangs_is_told(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    labs.vde("up")
    [control] = labs.runtime.glob("vde/*/control")
    supervisor = labs.pids()[""]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        home = Home("two", labs.file, labs.directory / ".vde" / "two", control.parent)
        with Connection(home, patience_s=0.1) as connection, pytest.raises(LabFailed, match="does not answer"):
            next(connection.ask(Status()))
    finally:
        os.kill(supervisor, signal.SIGCONT)


def test_a_state_directory_that_vanishes_is_made_again(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    labs.vde("up")
    shutil.rmtree(labs.directory / ".vde")
    labs.write(TWO_SWITCHES.replace("sw2: {kind: hub}", "sw2: {kind: hub, numports: 5}"))
    labs.vde("up")
    assert "numports: 5" in (labs.directory / ".vde" / "two" / "resolved.yml").read_text()


def test_ctrl_c_during_a_later_up_leaves_the_lab_running(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.vde("up")
    before = labs.pids()
    labs.write(SWITCH_AND_GUESTS.replace("debian-i386,", "debian-i386, cmdline: fake.silent,"))
    up = labs.start("up")
    up.wait_for("a                starting")
    up.interrupt()
    assert up.wait() == 130
    assert b"goes on, changed in part" in up.output
    after = labs.pids()
    assert (after["b"], after["sw"], after[""]) == (before["b"], before["sw"], before[""])
    labs.write(SWITCH_AND_GUESTS)
    assert "guests: up\n" in labs.vde("up")


def test_only_the_difference_is_applied(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.vde("up")
    before = labs.pids()
    labs.write("""
name: guests
nodes:
  new: {kind: qemu, image: debian-i386}
  sw: {kind: switch}
  a: {kind: qemu, image: debian-i386, ipv4: 10.0.0.1/24, memory: 256M}
  c: {kind: qemu, image: debian-i386, ipv4: 10.0.0.3/24}
links: [new -- sw, c -- sw, a -- sw]
""")
    plan = labs.vde("up", "--dry-run")
    assert plan.splitlines() == [
        "stop     b  (no longer in the file)",
        "start    new  (new)",
        "keep     sw  (up to date)",
        "restart  a  (changed)",
        "start    c  (new)",
    ]
    assert labs.pids() == before, "a dry run does nothing"
    labs.vde("up")
    after = labs.pids()
    assert set(after) == {"", "sw", "a", "new", "c"}
    assert (after["sw"], after[""]) == (before["sw"], before[""])
    assert after["a"] != before["a"]
    nodes = labs.nodes()
    ports = {name: node["interfaces"][0]["port"] for name, node in nodes.items() if node["kind"] == "qemu"}
    assert ports == {"a": 1, "new": 2, "c": 3}, "what ran keeps its port"
    with Watched(after) as processes:
        assert "guests: up\n" in labs.vde("up", "--recreate")
        assert processes.alive() == {""}


def test_another_image_is_a_change(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.vde("up")
    before = labs.pids()
    directory = labs.directory / "cache" / "vde" / "images" / "debian-i386"
    shutil.rmtree(directory)
    make_image(directory, "debian-i386", kernel=b"newer kernel")
    labs.vde("up")
    after = labs.pids()
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


def test_dependencies_decide_the_order(labs: LabRunner) -> None:
    labs.write("""
nodes:
  c: {kind: qemu, image: debian-i386, depends_on: {b: {condition: service_healthy}}}
  b: {kind: qemu, image: debian-i386, depends_on: [a]}
  a: {kind: qemu, image: debian-i386}
  late: {kind: switch, depends_on: {c: {condition: started}}}
""")
    lines = [line.split()[:2] for line in labs.vde("up").splitlines() if line.startswith("  ")]
    order = [["a", "ready"], ["b", "starting"], ["b", "ready"], ["c", "starting"], ["late", "starting"]]
    assert [line for line in lines if line in order] == order


def test_what_depends_on_a_dead_node_is_not_started(labs: LabRunner) -> None:
    labs.write("""
nodes:
  a: {kind: qemu, image: debian-i386, cmdline: fake.die=1}
  b: {kind: qemu, image: debian-i386, depends_on: [a]}
""")
    assert "node 'b': it was not started, because 'a' is dead" in labs.vde("up", status=1)


def test_a_missing_program_names_its_package(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    labs.environment["PATH"] = "/nonexistent"
    output = labs.vde("up", status=1)
    assert "qemu-system-i386 is not installed, which node 'a' needs" in output
    assert "apt-get install qemu-system-x86" in output
    assert "apt-get install qemu-system-mips" in output
    labs.assert_nothing_is_left()


def test_a_second_up_at_the_same_time_is_refused(labs: LabRunner) -> None:
    labs.write(SILENT)
    up = labs.start("up")
    up.wait_for("a                starting")
    assert "is being changed by somebody else" in labs.vde("up", status=1)
    assert "silent: down" in labs.vde("down"), "but down is not"
    assert up.wait() == 1
    labs.assert_nothing_is_left()


def test_two_first_ups_at_the_same_moment_make_one_lab(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    both = [labs.start("up"), labs.start("up")]
    statuses = [up.wait() for up in both]
    assert 0 in statuses
    for up, status in zip(both, statuses, strict=True):
        assert status == 0 or b"is being changed by somebody else" in up.output
    assert {node["state"] for node in labs.nodes().values()} == {"ready"}


def test_foreground_stays_until_ctrl_c(labs: LabRunner) -> None:
    labs.write(SWITCH_AND_GUESTS)
    up = labs.start("up", "--foreground")
    up.wait_for("b                ready")
    with Watched(labs.pids()) as processes:
        os.kill(labs.pids()["a"], signal.SIGKILL)
        up.wait_for("a                dead      killed by SIGKILL")
        up.interrupt()
        assert up.wait() == 0
        processes.wait_all()
    labs.assert_nothing_is_left()


def test_two_labs_at_once(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    other = labs.directory / "other.vlab.yml"
    other.write_text(TWO_SWITCHES.replace("two", "other"))
    assert "which one?" in labs.vde("up", status=2)
    labs.vde("up", "lab.vlab.yml")
    labs.vde("up", "other.vlab.yml")
    assert "which one?" in labs.vde("down", status=2)
    assert labs.vde("down", "other") == "other: down\n"
    assert labs.vde("down", "lab.vlab.yml") == "two: down\n"
    labs.assert_nothing_is_left()


def test_down_cleanup_removes_the_logs_too(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    labs.vde("up")
    assert (labs.directory / ".vde" / "two").is_dir()
    labs.vde("down", "--cleanup")
    assert not (labs.directory / ".vde" / "two").exists()


def test_a_directory_that_cannot_be_written(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    (labs.directory / ".vde").write_text("not a directory")
    assert "the lab keeps its logs next to its file" in labs.vde("up", status=1)


def test_a_runtime_root_that_others_can_write_is_refused(labs: LabRunner) -> None:
    labs.write(TWO_SWITCHES)
    (labs.runtime / "vde").mkdir(mode=0o755)
    assert "has mode 0755: 0700 was expected" in labs.vde("up", status=1)
    (labs.runtime / "vde").rmdir()
