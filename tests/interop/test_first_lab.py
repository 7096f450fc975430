"""The first lab as a newcomer runs it: real QEMU, two unmodified Debian kernels, our switch, pings seen."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner, Watched
from tests.tools import NeedTool
from vde.errors import VdeError
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
VDECMD = "/etc/vde2/vdecmd"  # package vde2's script for unixcmd
FILE = Path(__file__).parents[2] / "topologies" / "first.yaml"


@pytest.fixture
def first(need_tool: NeedTool, short_path: Path) -> LabRunner:
    for program in ("qemu-system-i386", "qemu-system-mipsel"):
        need_tool(program)
    for image in ("debian-i386", "debian-malta"):
        try:
            store.pull(image)
        except VdeError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"{error}")
    labs = LabRunner(short_path, fake_guests=False)
    labs.file = short_path / "first.yaml"
    labs.file.write_text(FILE.read_text())
    return labs


def test_two_debian_kernels_of_two_architectures_ping_each_other(first: LabRunner) -> None:
    with first as labs:
        output = labs.vde("up", "first.yaml", timeout_s=300)
        for line in (
            "pc: Linux 6.1.0-",
            "malta: Linux 6.1.0-",
            "4kc-malta mips",
            "-686 i686",
            "pc: 64 bytes from 10.0.0.2: seq=0 ttl=64",
            "pc: 3 packets transmitted, 3 packets received, 0% packet loss",
            "malta: 64 bytes from 10.0.0.1: seq=0 ttl=64",
            "malta: 3 packets transmitted, 3 packets received, 0% packet loss",
            "first: up\n",
        ):
            assert line in output
        nodes = labs.nodes()
        shown = labs.vde("console", "pc", "--linger", "3s", stdin=b"cat /sys/class/net/eth0/address\n")
        assert nodes["pc"]["interfaces"][0]["mac"] in shown, "the address is the one that follows from the names"
        assert "first: up to date\n" in labs.vde("up", "first.yaml", "--no-checks")
        with Watched(labs.pids()) as processes:
            assert processes.alive() == {"", "sw", "pc", "malta"}
            labs.vde("down")
            processes.wait_all()
        labs.assert_nothing_is_left()


def test_until_checked_leaves_nothing_behind(first: LabRunner) -> None:
    with first as labs:
        output = labs.vde("up", "first.yaml", "--until-checked", timeout_s=300)
        assert "check pc-to-malta: ok" in output
        assert "check malta-to-pc: ok" in output
        assert "first: down, nothing is left running" in output
        labs.assert_nothing_is_left()


def test_a_guest_that_powers_off_is_dead_with_its_last_lines(first: LabRunner) -> None:
    with first as labs:
        labs.vde("up", "first.yaml", "--no-checks", timeout_s=300)
        with Watched({"pc": labs.pids()["pc"]}) as processes:
            labs.vde("console", "pc", stdin=b"poweroff -f\n")
            processes.wait_all()
        node = labs.nodes()["pc"]
        assert (node["state"], node["text"]) == ("dead", "exit status 0")
        assert node["last_lines"]
        assert labs.nodes()["malta"]["state"] == "ready"


def test_the_original_clients_join_a_running_lab(first: LabRunner, need_tool: NeedTool) -> None:
    unixcmd = need_tool("unixcmd")
    with first as labs:
        labs.file.write_text("nodes: {sw: {kind: switch}}\n")
        labs.vde("up", "first.yaml")
        management = labs.nodes()["sw"]["management"]
        command = [unixcmd, "-s", management, "-f", VDECMD, "ds/showinfo"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert labs.nodes()["sw"]["directory"] in done.stdout
