"""The host of a NAT test, in network and mount namespaces of its own (`unshare --net --mount`).

It has a name server (of `server.test`) on its loopback, TCP servers there that greet, and no way to anywhere. It joins
a tap, which it moves into the guest's namespace, to a NAT: a VNL of ours, or Debian's vde_plug (`vde_plug VNL`).
Arguments: the guest's namespace, the tap's name, the VNL, and `ours` or `original`. It says `ready`; each line of its
standard input is a port of its loopback, whose greeting it then prints (`udp PORT`: by UDP).
"""

import contextlib
import hashlib
import os
import socket
import struct
import subprocess
import sys
import tempfile

import trio

from plugs.registry import open_link
from plugs.surroundings import Here
from vde.errors import LinkClosed
from vde.link import Link
from vde.tun import open_tap

SERVICE_PORT, BULK_PORT = 8080, 8081
BULK_OCTETS = 4 << 20
ADDRESS = "192.0.2.7"  # of server.test


def run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, timeout=20)


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tell_aside(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def prepare() -> None:
    for command in (
        "link set lo up",
        "link add up0 type veth peer name up1",
        "link set up1 up",
        "link set up0 up",
        "address add 192.0.2.1/24 dev up0",
        "route add default via 192.0.2.254",
        "address add 2001:db8::1/64 dev up0 nodad",
        "-6 route add default via 2001:db8::ffff",
    ):
        run("ip", *command.split())
    with tempfile.NamedTemporaryFile("w") as resolv:
        resolv.write("nameserver 127.0.0.1\n")
        resolv.flush()
        os.chmod(resolv.name, 0o644)
        run("mount", "--bind", resolv.name, "/etc/resolv.conf")


def answer(query: bytes) -> bytes:
    """RFC 1035 §4: the question again, and an A record for whatever was asked; none for AAAA."""
    end = query.index(b"\0", 12) + 5
    a = query[end - 4 : end - 2] == b"\0\1"
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(ADDRESS)
    known = query[12 : end - 4] == b"\x06server\x04test\0"
    flags = b"\x81\x80" if known else b"\x81\x83"
    count = struct.pack("!HHHH", 1, 1 if a and known else 0, 0, 0)
    return query[:2] + flags + count + query[12:end] + (record if a and known else b"")


async def name_server() -> None:
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 53))
        while True:
            query, who = await sock.recvfrom(1500)
            await sock.sendto(answer(query), who)


async def greet(stream: trio.SocketStream) -> None:
    """Say hello with what the client said first."""
    first = await stream.receive_some(100)
    await stream.send_all(b"hello " + first)
    await stream.aclose()


async def pour(stream: trio.SocketStream) -> None:
    """A line with the digest of what follows."""
    octets = os.urandom(BULK_OCTETS)
    await stream.send_all(hashlib.sha256(octets).hexdigest().encode() + b"\n" + octets)
    await stream.aclose()


async def echo_datagrams() -> None:
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", SERVICE_PORT))
        while True:
            datagram, who = await sock.recvfrom(70_000)
            await sock.sendto(b"hello " + datagram, who)


async def services(nursery: trio.Nursery) -> None:
    for address in ("127.0.0.1", "::1"):
        listeners = await trio.open_tcp_listeners(SERVICE_PORT, host=address)
        nursery.start_soon(trio.serve_listeners, greet, listeners)
        pourers = await trio.open_tcp_listeners(BULK_PORT, host=address)
        nursery.start_soon(trio.serve_listeners, pour, pourers)
    nursery.start_soon(echo_datagrams)


async def ask_by_udp(port: int) -> str:
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock, trio.fail_after(20):
        await sock.connect(("127.0.0.1", port))
        await sock.send(b"host")
        return (await sock.recv(100)).decode()


async def connect_on_demand() -> None:
    stdin = trio.lowlevel.FdStream(os.dup(0))
    pending = b""
    async for octets in stdin:
        pending += octets
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            if line.startswith(b"udp "):
                tell(await ask_by_udp(int(line[4:])))
                continue
            with trio.fail_after(20):
                async with await trio.open_tcp_stream("127.0.0.1", int(line)) as stream:
                    await stream.send_all(b"host\n")
                    got = b""
                    async for piece in stream:
                        got += piece
            tell(got.decode().strip())


async def from_link(link: Link, tap: int) -> None:
    while True:
        for frame in await link.receive():
            os.write(tap, frame)


async def to_link(link: Link, tap: int) -> None:
    with contextlib.suppress(LinkClosed):  # by us, while a frame was on its way
        while True:
            await trio.lowlevel.wait_readable(tap)
            await link.send([os.read(tap, 70_000)])


async def main(namespace: str, tap_name: str, vnl: str, whose: str) -> None:
    prepare()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(name_server)
        await services(nursery)
        if whose == "original":
            process = await trio.lowlevel.open_process(["vde_plug", f"tap://{tap_name}", vnl])
            with trio.fail_after(20):
                while tap_name not in {name for _, name in socket.if_nameindex()}:
                    await trio.lowlevel.checkpoint()
            run("ip", "link", "set", tap_name, "netns", namespace)
            tell("ready {}")
            try:
                await connect_on_demand()
            finally:
                process.kill()
        else:
            tap, _, _ = open_tap(tap_name, "the guest's tap", offloads=False)
            run("ip", "link", "set", tap_name, "netns", namespace)
            async with open_link(vnl, Here("nat_host", tell_aside)) as link:
                nursery.start_soon(from_link, link, tap)
                nursery.start_soon(to_link, link, tap)
                tell(f"ready {dict(link.state())}")
                await connect_on_demand()
                nursery.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4])
