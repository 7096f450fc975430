"""vde://: names of switches, registration and its refusals, who may use our socket, and the end."""

import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from plugs import registry
from plugs import vde as plug
from plugs.vde import find_switch
from tests.plugs.surroundings import TestSurroundings
from tests.switch_process import SwitchProcess
from tests.vde_client import VdeClient, frame
from vde.errors import ConfigError, LinkBroken, LinkClosed, LinkEnded
from vde.registration import ADDRESS, Request, emit_reply, parse
from vde.vnl import VnlError

PATIENCE_S = 20
StartSwitch = Callable[..., SwitchProcess]


class Switch:
    """A switch's side of the registration, step by step."""

    def __init__(self, directory: Path, name: str = "ctl") -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(os.fspath(directory / name))
        self.listener.listen()
        self.request: Request | None = None
        self.mode = 0

    async def answer(self, answer: bytes | None = None) -> None:
        """Accept one client and answer; None: properly."""
        self.control, _ = await trio.to_thread.run_sync(self.listener.accept)
        self.request = parse(await trio.to_thread.run_sync(self.control.recv, 4096))
        self.mode = stat.S_IMODE(os.stat(self.request.address).st_mode)
        self.data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.data.connect(self.request.address)
        path = os.fspath(self.directory / "001.5")
        self.data.bind(path)
        self.control.sendall(emit_reply(path) if answer is None else answer)

    def close(self) -> None:
        for name in ("control", "data", "listener"):
            if hasattr(self, name):
                getattr(self, name).close()


@asynccontextmanager
async def served(switch: Switch, vnl: str, answer: bytes | None = None) -> AsyncIterator[TestSurroundings]:
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(switch.answer, answer)
            try:
                async with registry.open_link(vnl, TestSurroundings()) as link:
                    assert isinstance(link, plug.VdeLink)
                    link.counters.sent(0, 0)
                    yield TestSurroundings()
            finally:
                switch.close()


@pytest.mark.parametrize(
    ("options", "port", "management"),
    [("", 0, False), ("[7]", 7, False), ("[port=7/mode=660]", 7, False), ("[0]", 0, True), ("[portgroup=9]", 9, False)],
)
async def test_the_request(short_path: Path, options: str, port: int, management: bool) -> None:
    switch = Switch(short_path / "s")
    async with served(switch, f"vde://{switch.directory}{options}"):
        assert switch.request is not None
        assert (switch.request.port, switch.request.management) == (port, management)
        assert switch.request.description.startswith("test user=")
        assert switch.mode == (0o660 if "660" in options else 0o700)
        assert os.listdir(switch.directory) == ["ctl", "001.5"] or sorted(os.listdir(switch.directory)) == [
            "001.5",
            "ctl",
        ]  # our socket's name is gone


async def test_a_named_port_has_a_socket_of_its_own(short_path: Path) -> None:
    switch = Switch(short_path / "s", "lab")
    async with served(switch, f"{switch.directory}[lab]"):
        assert switch.request is not None
        assert switch.request.port == 0


@pytest.mark.parametrize("answer", [b"", b"\0" * 50, b"\x01\x00" + b"x" * 200])
async def test_a_wrong_answer_is_a_refusal(short_path: Path, answer: bytes) -> None:
    switch = Switch(short_path / "s")

    async def answer_and_close() -> None:
        await switch.answer(answer)
        switch.control.close()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_and_close)
            with pytest.raises(LinkBroken, match="the switch refused port 3"):
                async with registry.open_link(f"{switch.directory}[3]", TestSurroundings()):
                    pass
    switch.close()
    assert len(answer) != ADDRESS.size


async def test_a_switch_that_does_not_answer(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plug, "ANSWER_S", 0.05)
    switch = Switch(short_path / "s")  # its backlog takes the connection
    with trio.fail_after(PATIENCE_S):
        with pytest.raises(LinkBroken, match=r"no answer from the switch for 0.05 s: vde_switch 2.3.2 refuses"):
            async with registry.open_link(os.fspath(switch.directory), TestSurroundings()):
                pass
    switch.close()
    assert os.listdir(switch.directory) == ["ctl"]


async def test_the_end_of_the_control_connection_is_the_links(short_path: Path) -> None:
    switch = Switch(short_path / "s")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(switch.answer)
        async with registry.open_link(os.fspath(switch.directory), TestSurroundings()) as link:
            switch.data.send(frame(1))
            switch.control.send(b"what is this?")
            switch.control.close()
            with trio.fail_after(PATIENCE_S):
                assert await link.receive() == [frame(1)]
                with pytest.raises(LinkEnded, match="the switch closed the port"):
                    await link.receive()
                with pytest.raises(LinkEnded):
                    await link.watch()
    switch.close()


async def test_a_closed_link_wakes_its_watcher(short_path: Path) -> None:
    switch = Switch(short_path / "s")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(switch.answer)

        async def watch(link: plug.VdeLink) -> None:
            with pytest.raises(LinkClosed):
                await link.watch()

        async with registry.open_link(os.fspath(switch.directory), TestSurroundings()) as link:
            assert isinstance(link, plug.VdeLink)
            nursery.start_soon(watch, link)
            await trio.testing.wait_all_tasks_blocked()
    switch.close()


async def test_a_port_that_is_out_of_range(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "4")
    with pytest.raises(LinkBroken, match="the switch refused port 99"):
        async with registry.open_link(f"{switch.directory}[99]", TestSurroundings()):
            pass


async def test_a_forwarder_may_have_the_socket(start_switch: StartSwitch) -> None:
    switch = start_switch()
    with VdeClient(switch.directory) as other:
        async with registry.open_link(os.fspath(switch.directory), TestSurroundings()) as link:
            handed = link.hand_over()
            assert handed is not None
            os.write(handed.fd, frame(1))
            assert other.receive() == frame(1)
            os.close(handed.fd)
            assert link.take_back()
            await link.send([frame(2)])
            assert other.receive() == frame(2)


def test_defaults_and_files(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.fspath(short_path))
    monkeypatch.setattr(plug, "DEFAULT_DIRECTORIES", (f"{short_path}/a", f"{short_path}/b"))
    assert find_switch("") == (f"{short_path}/a", None)
    (short_path / "b").mkdir()
    (short_path / "b/ctl").touch()
    assert find_switch("") == (f"{short_path}/b", None)
    (short_path / ".vde2").mkdir()
    (short_path / ".vde2/default.switch").symlink_to(short_path / "elsewhere")
    assert find_switch("") == (f"{short_path}/.vde2/default.switch", None)
    (short_path / ".vdeplug").mkdir()
    (short_path / ".vdeplug/default").write_text("udp://:1->h:2\nmore\n")
    assert find_switch("") == (f"{short_path}/.vdeplug/default", "udp://:1->h:2")
    (short_path / "loop").write_text(f"{short_path}/loop\n")
    with pytest.raises(ConfigError, match="names another file"):
        find_switch(f"{short_path}/loop")
    (short_path / "empty").touch()
    with pytest.raises(ConfigError, match="a file whose first line is a VNL"):
        find_switch(f"{short_path}/empty")


async def test_a_file_stands_for_its_vnl(short_path: Path) -> None:
    (short_path / "net").write_text("null://\n")
    async with registry.open_link(os.fspath(short_path / "net"), TestSurroundings()) as link:
        assert type(link).__name__ == "NullLink"


@pytest.mark.parametrize(
    ("vnl", "text"),
    [
        ("vde:///a[port=x/y]", "the option 'y' is unknown"),
        ("vde:///a[port=1/port=2]", "given twice"),
        ("vde:///a[1/2]", "the option '2' is unknown"),
        ("vde:///a[mode=999]", "an octal number"),
        ("vde:///a[port=a\\/b]", "a name without '/'"),
        ("vde:///a[99999999]", "a number of 0 to 16777215"),
        ("vde:///" + "a" * 120, "too long for a socket"),
        ("vde:///a{null://}", "takes no VNL in braces"),
    ],
)
async def test_what_is_wrong(vnl: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        async with registry.open_link(vnl, TestSurroundings()):
            pass
    assert isinstance(caught.value, VnlError) or "a" in str(caught.value)


@pytest.mark.parametrize("directory", ["/nonexistent", "/etc/passwd/x"])
async def test_no_switch_is_worth_another_try(directory: str) -> None:
    with pytest.raises(LinkBroken, match=directory):
        async with registry.open_link(directory, TestSurroundings()):
            pass


async def test_nobody_listens_any_more(short_path: Path) -> None:
    Switch(short_path / "s").close()
    with pytest.raises(LinkBroken, match="Connection refused"):
        async with registry.open_link(os.fspath(short_path / "s"), TestSurroundings()):
            pass
    assert os.listdir(short_path / "s") == ["ctl"]
