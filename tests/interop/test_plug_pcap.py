"""pcap:// with Debian's libvdeplug-pcap, and between two hosts' TCP."""

from contextlib import AsyncExitStack

import pytest
import trio

from plugs.registry import open_link
from tests.interop.namespaces import in_namespace, inside
from tests.interop.original_plug import exchange, open_original_plug, quiet, receive_ours
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool
from vde.link import Link

pytestmark = pytest.mark.interop
PATIENCE_S = 30
TRANSFER_OCTETS = 4 << 20


def frame(octets: int) -> bytes:
    return (bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(range(256)) * 36)[:octets]


def veth(namespace: str, name: str, peer_namespace: str, peer: str) -> None:
    in_namespace(namespace, "ip", "link", "add", name, "type", "veth", "peer", "name", peer, "netns", peer_namespace)
    for where, one in ((namespace, name), (peer_namespace, peer)):
        in_namespace(where, "ip", "link", "set", one, "up", "addrgenmode", "none")


async def test_debians_plug_at_the_other_end(need_tool: NeedTool, two_namespaces: tuple[str, str]) -> None:
    need_tool("vde_plug")
    here, there = two_namespaces
    veth(here, "v0", there, "v1")
    with trio.fail_after(PATIENCE_S):
        async with AsyncExitStack() as stack:
            with inside(here):
                link = await stack.enter_async_context(open_link("pcap://v0", TestSurroundings()))
            original = await stack.enter_async_context(open_original_plug("pcap://v1", namespace=there))
            await exchange(link, original, frame(60))
            await quiet(original)
            for octets in (14, 60, 590, 1514):
                await link.send([frame(octets)])
                assert await receive_ours(original) == frame(octets)
                await original.send([frame(octets)])
                assert await receive_ours(link) == frame(octets)


@pytest.mark.parametrize("family", ["4", "6"])
async def test_tcp_of_two_hosts_passes_with_their_offloads(two_namespaces: tuple[str, str], family: str) -> None:
    """Hosts' veths leave check sums and segments to a card that there is not; between them are two of our plugs."""
    a, b = two_namespaces
    veth(a, "host", a, "card")
    veth(b, "host", b, "card")
    for namespace, number in ((a, 1), (b, 2)):
        in_namespace(namespace, "ip", "addr", "add", f"10.7.0.{number}/24", "dev", "host")
        in_namespace(namespace, "ip", "addr", "add", f"fd07::{number}/64", "dev", "host", "nodad")
    address = "10.7.0.2" if family == "4" else "fd07::2"
    kind = f"AF_INET{'6' if family == '6' else ''}"
    with trio.fail_after(PATIENCE_S):
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            with inside(a):
                one = await stack.enter_async_context(open_link("pcap://card", TestSurroundings()))
                client = trio.socket.socket(getattr(trio.socket, kind), trio.socket.SOCK_STREAM)
            with inside(b):
                other = await stack.enter_async_context(open_link("pcap://card", TestSurroundings()))
                server = trio.socket.socket(getattr(trio.socket, kind), trio.socket.SOCK_STREAM)
            with client, server:
                await server.bind((address, 5000))
                server.listen()
                nursery.start_soon(carry, one, other)
                nursery.start_soon(carry, other, one)
                await client.connect((address, 5000))
                connection, _ = await server.accept()
                nursery.start_soon(trio.SocketStream(client).send_all, bytes(TRANSFER_OCTETS))
                received = 0
                with connection:
                    while received < TRANSFER_OCTETS:
                        received += len(await connection.recv(1 << 20))
                assert received == TRANSFER_OCTETS
            assert "offload" not in one.statistics().dropped_in
            assert one.statistics().received_frames > TRANSFER_OCTETS // 1500
            nursery.cancel_scope.cancel()


async def carry(source: Link, sink: Link) -> None:
    while True:
        await sink.send(await source.receive())
