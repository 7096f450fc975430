"""qemu:// against QEMU: two guests ping each other and move octets over TCP through two links of ours."""

import socket
import subprocess
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest
import trio

from plugs.registry import open_link
from tests.interop.test_qemu import Guest
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool
from vde.image import store
from vde.link import Link

pytestmark = [pytest.mark.interop, pytest.mark.slow]
OCTETS_MIB = 4


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def form(name: str, home: Path) -> tuple[str, str]:
    """(our VNL, QEMU's -netdev) of a form."""
    path, tcp, udp = home / name, free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    other = free_port(socket.SOCK_DGRAM)
    inet = f"addr.type=inet,addr.host=127.0.0.1,addr.port={tcp}"
    return {
        "unix-server": (f"qemu://{path}[server]", f"stream,id=n0,server=off,addr.type=unix,addr.path={path}"),
        "unix-client": (
            f"qemu://{path}[reconnect=0.1]",
            f"stream,id=n0,server=on,addr.type=unix,addr.path={path}",
        ),
        "tcp-server": (f"qemu://127.0.0.1:{tcp}[server]", f"stream,id=n0,server=off,{inet}"),
        "tcp-client": (f"qemu://127.0.0.1:{tcp}[reconnect=0.1]", f"stream,id=n0,server=on,{inet}"),
        "socket-client": (f"qemu://127.0.0.1:{tcp}[reconnect=0.1]", f"socket,id=n0,listen=127.0.0.1:{tcp}"),
        "socket-server": (f"qemu://127.0.0.1:{tcp}[server]", f"socket,id=n0,connect=127.0.0.1:{tcp}"),
        "unix-dgram": (
            f"qemu://{path}.q[dgram/local='{path}.us']",
            f"dgram,id=n0,local.type=unix,local.path={path}.q,remote.type=unix,remote.path={path}.us",
        ),
        "udp": (
            f"qemu://127.0.0.1:{udp}[dgram/local=127.0.0.1:{other}]",
            f"dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port={udp},"
            f"remote.type=inet,remote.host=127.0.0.1,remote.port={other}",
        ),
        "socket-udp": (
            f"qemu://127.0.0.1:{udp}[dgram/local=127.0.0.1:{other}]",
            f"socket,id=n0,udp=127.0.0.1:{other},localaddr=127.0.0.1:{udp}",
        ),
    }[name]


def start(need_tool: NeedTool, netdev: str, number: int) -> Guest:
    image = store.pull("debian-i386")
    return Guest([
        need_tool("qemu-system-i386"), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "96",
        "-kernel", str(image.kernel), "-initrd", str(image.initrd),
        "-append", f"{image.default_cmdline} no_timer_check hostname=guest{number} ip4=192.0.2.{number}/24",
        "-netdev", netdev, "-device", f"virtio-net-pci,netdev=n0,mac=02:00:00:00:00:0{number}",
    ])  # fmt: skip


async def carry(source: Link, target: Link) -> None:
    while True:
        await target.send(await source.receive())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("unix-server", "tcp-client"),
        ("tcp-server", "unix-client"),
        ("unix-dgram", "udp"),
        ("socket-client", "socket-udp"),
    ],
)
async def test_two_guests_ping_and_move_octets_unharmed(
    first: str, second: str, short_path: Path, need_tool: NeedTool
) -> None:
    surroundings = TestSurroundings()
    async with AsyncExitStack() as stack:
        ours, netdevs = zip(*(form(name, short_path) for name in (first, second)), strict=True)
        links = [await stack.enter_async_context(open_link(vnl, surroundings)) for vnl in ours]
        nursery = await stack.enter_async_context(trio.open_nursery())
        stack.callback(nursery.cancel_scope.cancel)
        for source, target in (links, reversed(links)):
            nursery.start_soon(carry, source, target)
        guests = stack.enter_context(ExitStack())
        one, two = (guests.enter_context(start(need_tool, netdev, at)) for at, netdev in enumerate(netdevs, 1))
        in_thread = trio.to_thread.run_sync
        await in_thread(one.wait_for, "vde-guest ready: hostname=guest1 eth0=192.0.2.1/24")
        await in_thread(two.wait_for, "vde-guest ready: hostname=guest2 eth0=192.0.2.2/24")
        assert "3 packets received" in await in_thread(one.shell, "ping -c 3 192.0.2.2")
        await in_thread(two.shell, "(nc -l -p 5000 | sha256sum > /tmp/sum; echo over > /tmp/over) & true")
        sent = await in_thread(
            one.shell,
            f"dd if=/dev/urandom of=/tmp/x bs=1M count={OCTETS_MIB} 2>/dev/null; sha256sum /tmp/x;"
            " until nc 192.0.2.2 5000 < /tmp/x; do :; done",
        )
        received = await in_thread(two.shell, "until [ -e /tmp/over ]; do :; done; cat /tmp/sum")
        assert received.split()[:1] == sent.split()[:1]
        assert len(sent.split()[0]) == 64
        for link in links:
            statistics = link.statistics()
            assert statistics.received_octets + statistics.sent_octets > OCTETS_MIB << 20
            assert not statistics.dropped_in
            assert not set(statistics.dropped_out) - {"no-peer", "full"}


async def test_a_qemu_that_starts_again_finds_the_same_link(short_path: Path, need_tool: NeedTool) -> None:
    """In both roles; the guest needs no system for it: a PXE ROM of QEMU's sends DHCP requests at once."""
    for name in ("unix-server", "tcp-client"):
        vnl, netdev = form(name, short_path)
        vnl = vnl.replace("[server]", "[server/reconnect=0.1]")
        async with open_link(vnl, TestSurroundings()) as link:
            for times in (1, 2):
                arguments = [
                    need_tool("qemu-system-i386"), "-nodefaults", "-display", "none", "-no-reboot", "-boot", "n",
                    "-netdev", netdev, "-device", "virtio-net-pci,netdev=n0",
                ]  # fmt: skip
                with subprocess.Popen(arguments) as qemu:  # noqa: ASYNC220 - killed below, never waited for long
                    try:
                        with trio.fail_after(60):
                            frames = await link.receive()
                        assert frames[0][:6] == b"\xff" * 6
                        assert link.state()["connections"] == times
                    finally:
                        qemu.kill()
