"""vdeshm:///path: unmodified clients of Debian's libvdeplug share memory with our switch, through our module."""

import contextlib
import errno
import itertools
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from tests.interop.libvdeplug import Client, module_path
from tests.interop.original_plug import PROGRAM, open_original_plug
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool
from tests.vde_client import VdeClient, frame
from vde.errors import LinkBroken

StartSwitch = Callable[..., SwitchProcess]
pytestmark = pytest.mark.interop
PATIENCE_S = 20.0


@pytest.fixture
def modules(short_path: Path, monkeypatch: pytest.MonkeyPatch, need_tool: NeedTool) -> str:
    """libvdeplug finds the module from now on."""
    need_tool(PROGRAM)
    path = module_path(short_path / "modules")
    monkeypatch.setenv("VDEPLUGIN_PATH", path)
    return path


@contextlib.contextmanager
def opened(vnl: str, port: int = 0) -> Iterator[Client]:
    client = Client(vnl, "through libvdeplug", port)
    try:
        yield client
    finally:
        client.close()


def readable(fd: int, patience_s: float = 0) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(patience_s * 1000))


def test_a_larger_ring_holds_what_a_burst_brings(modules: str, start_switch: StartSwitch) -> None:
    switch = start_switch()
    vnl = f"vdeshm://{switch.directory}"
    with opened(vnl) as a, opened(vnl + "[ring=1M]") as b:
        b.send(frame(5))
        assert readable(a.data_fd, PATIENCE_S)
        assert a.receive() == frame(5)
        for number in range(600):  # the usual one holds 170
            a.send(frame(4, 5, payload=number.to_bytes(2) + bytes(1498)))
        for number in range(600):
            assert readable(b.data_fd, PATIENCE_S)
            assert b.receive()[14:16] == number.to_bytes(2)


def test_frames_ports_and_the_descriptions_of_clients(modules: str, start_switch: StartSwitch) -> None:
    switch = start_switch()
    vnl = f"vdeshm://{switch.directory}"
    with (
        VdeClient(switch.directory, port=9) as other,
        opened(vnl + "[port=4/mode=0660]") as a,
        opened(vnl, port=5) as b,
    ):
        for octets in (60, 1514, 9216 + 18):
            one = frame(4, payload=bytes(octets - 14))
            assert a.send(one) == octets
            assert other.receive() == one
            assert readable(b.data_fd, PATIENCE_S)
            assert b.receive() == one
            assert not readable(b.data_fd)
        other.send(frame(9, 4))
        assert a.receive() == frame(9, 4)
        assert a.send(b"") == 0
        with pytest.raises(OSError, match="too long") as caught:
            a.send(bytes(9300))
        assert caught.value.errno == errno.EMSGSIZE
        lines = "\n".join(switch.command("port/allprint"))
        assert "Port 0004" in lines
        assert "Port 0005" in lines
        assert lines.count("module ring") == 2
        assert "through libvdeplug" in lines


def test_a_client_that_may_not_wait_is_told(modules: str, start_switch: StartSwitch) -> None:
    switch = start_switch()
    with opened(f"vdeshm://{switch.directory}") as a, VdeClient(switch.directory) as other:
        with pytest.raises(BlockingIOError):
            a.receive(socket.MSG_DONTWAIT)
        os.set_blocking(a.data_fd, False)
        with pytest.raises(BlockingIOError):
            a.receive()
        os.set_blocking(a.data_fd, True)
        other.send(frame(1, payload=b"in full"))
        assert a.receive(octets=20) == frame(1, payload=b"in full")[:20]
        assert not readable(a.control_fd)


def test_a_blocking_receiver_and_a_blocking_sender(modules: str, start_switch: StartSwitch) -> None:
    """20,000 frames through rings that are full and empty many times: what the switch did not drop comes in order."""
    switch = start_switch()
    with opened(f"vdeshm://{switch.directory}") as a, opened(f"vdeshm://{switch.directory}") as b:
        enough = threading.Event()

        def send() -> None:
            for number in itertools.count():
                if enough.is_set():
                    break
                a.send(frame(1, payload=number.to_bytes(8) + bytes(number % 1400)))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            last = -1
            for _ in range(20_000):
                received = b.receive()
                number = int.from_bytes(received[14:22])
                assert number > last
                assert received == frame(1, payload=number.to_bytes(8) + bytes(number % 1400))
                last = number
        finally:
            enough.set()
            sender.join(PATIENCE_S)


def test_the_end_of_a_port_is_seen_on_both_descriptors(modules: str, start_switch: StartSwitch) -> None:
    switch = start_switch()
    with opened(f"vdeshm://{switch.directory}") as a, opened(f"vdeshm://{switch.directory}") as b:
        ended: list[int | None] = []

        def wait() -> None:
            try:
                b.receive()
            except OSError as error:
                ended.append(error.errno)

        waiting = threading.Thread(target=wait)
        waiting.start()
        switch.stop()
        assert readable(a.control_fd, PATIENCE_S)
        with pytest.raises(ConnectionResetError):
            a.receive()

        def fill() -> None:
            for _ in range(10_000):
                a.send(frame(1, payload=bytes(9000)))

        with pytest.raises(ConnectionResetError):
            fill()
        waiting.join(PATIENCE_S)
        assert ended == [errno.ECONNRESET]
        assert not readable(a.data_fd)  # a client that looks nowhere else (QEMU) does not spin


@pytest.mark.parametrize(
    ("vnl", "code", "words"),
    [
        ("vdeshm:///nonexistent", errno.ENOENT, "there is no switch in /nonexistent"),
        ("vdeshm://{home}[port=70000]", errno.EINVAL, "port 70000 is out of range: 0 to 32 are possible"),
        ("vdeshm://{home}[colour=red]", errno.EINVAL, 'the option "colour" is unknown'),
        ("vdeshm://{old}", errno.ENOENT, "vde://{old} works with any switch"),
    ],
)
def test_refusals_are_explained(
    modules: str, start_switch: StartSwitch, short_path: Path, vnl: str, code: int, words: str
) -> None:
    switch = start_switch()
    old = short_path / "old"
    old.mkdir()
    (old / "ctl").touch()
    places = {"home": switch.directory, "old": old}
    program = "import sys; from tests.interop.libvdeplug import Client; Client(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, vnl.format(**places)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 1
    assert f"[Errno {code}]" in done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("vdeshm://")
    assert words.format(**places) in first


async def test_vde_plug_joins_by_shared_memory_and_ends_with_the_switch(
    modules: str, start_switch: StartSwitch
) -> None:
    switch = start_switch()
    environment = os.environ | {"VDEPLUGIN_PATH": modules}
    vnl = f"vdeshm://{switch.directory}"
    with trio.fail_after(PATIENCE_S):
        async with (
            open_original_plug(vnl, environment=environment) as a,
            open_original_plug(vnl, environment=environment) as b,
        ):
            while "\n".join(switch.command("port/allprint")).count("module ring") < 2:
                await trio.lowlevel.checkpoint()
            sent = [frame(1, payload=number.to_bytes(400)) for number in range(100)]
            for one, other in ((a, b), (b, a)):
                for index in range(0, len(sent), 20):
                    await one.send(sent[index : index + 20])
                    for expected in sent[index : index + 20]:
                        assert await other.receive() == [expected]
            switch.stop()
            with pytest.raises(LinkBroken):
                await a.receive()


async def test_vde_plug_between_rings_and_datagrams(modules: str, start_switch: StartSwitch) -> None:
    first, second = start_switch(name="a"), start_switch(name="b")
    environment = os.environ | {"VDEPLUGIN_PATH": modules}
    with trio.fail_after(PATIENCE_S), VdeClient(first.directory) as here, VdeClient(second.directory) as there:
        cable = (f"vdeshm://{first.directory}", f"vde://{second.directory}")
        async with open_original_plug(*cable, environment=environment):
            for switch in (first, second):
                while "\n".join(switch.command("port/allprint")).count("endpoint ID") < 2:
                    await trio.lowlevel.checkpoint()
            here.send(frame(1))
            assert await trio.to_thread.run_sync(there.receive) == frame(1)
            there.send(frame(2, 1))
            assert await trio.to_thread.run_sync(here.receive) == frame(2, 1)


def test_vde_plug_as_a_daemon(modules: str, start_switch: StartSwitch, short_path: Path) -> None:
    first, second = start_switch(name="a"), start_switch(name="b")
    pidfile = short_path / "pid"
    command = [PROGRAM, "-d", "-p", str(pidfile), f"vdeshm://{first.directory}[5]", f"vdeshm://{second.directory}[5]"]
    subprocess.run(command, check=True, timeout=PATIENCE_S)
    with VdeClient(first.directory) as here, VdeClient(second.directory) as there:
        for switch in (first, second):
            while "module ring" not in "\n".join(switch.command("port/allprint")):
                os.sched_yield()
        here.send(frame(1))
        assert there.receive() == frame(1)
        there.send(frame(2, 1))
        assert here.receive() == frame(2, 1)
    daemon = os.pidfd_open(int(pidfile.read_text()))
    signal.pidfd_send_signal(daemon, signal.SIGTERM)
    assert readable(daemon, PATIENCE_S)
    os.close(daemon)
