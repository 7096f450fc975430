"""udp://GROUP:PORT with QEMU's two multicast networks: plain frames in datagrams, as there. A guest answers ARP."""

from functools import partial
from pathlib import Path

import pytest
import trio

from plugs.registry import open_link
from tests.interop.namespaces import in_namespace, inside
from tests.interop.original_plug import receive_ours
from tests.interop.test_qemu import Guest
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool
from vde.image import store

pytestmark = [pytest.mark.interop, pytest.mark.slow]
PATIENCE_S = 150
GROUP, PORT = "239.7.7.9", 5077
GUEST, OURS = bytes.fromhex("020000000001"), bytes.fromhex("020000000009")


def arp_request() -> bytes:
    """Who has 192.0.2.1? Tell 192.0.2.9. (RFC 826)"""
    head = b"\xff" * 6 + OURS + bytes.fromhex("0806 0001 0800 06 04 0001")
    return (head + OURS + bytes([192, 0, 2, 9]) + bytes(6) + bytes([192, 0, 2, 1])).ljust(60, b"\0")


@pytest.mark.parametrize(
    "netdev",
    [
        f"socket,id=n0,mcast={GROUP}:{PORT}",
        f"dgram,id=n0,remote.type=inet,remote.host={GROUP},remote.port={PORT}",
    ],
)
async def test_a_guest_on_qemus_multicast_network_hears_and_answers(
    need_tool: NeedTool, two_namespaces: tuple[str, str], short_path: Path, netdev: str
) -> None:
    image = store.pull("debian-i386")
    here, _ = two_namespaces
    for words in (
        "link add m0 type veth peer name m1",
        "link set lo up",
        "link set m0 up",
        "link set m1 up",
        "addr add 10.9.0.1/24 dev m0",
        "route add 224.0.0.0/4 dev m0",
    ):
        in_namespace(here, "ip", *words.split())
    arguments = [
        "ip", "netns", "exec", here, need_tool("qemu-system-i386"), "-nodefaults", "-display", "none", "-no-reboot",
        "-serial", "stdio", "-m", "96", "-kernel", str(image.kernel), "-initrd", str(image.initrd),
        "-append", f"{image.default_cmdline} no_timer_check hostname=guest ip4=192.0.2.1/24",
        "-netdev", netdev, "-device", f"virtio-net-pci,netdev=n0,mac={GUEST.hex(':')}",
    ]  # fmt: skip
    with trio.fail_after(PATIENCE_S), Guest(arguments) as guest:
        await trio.to_thread.run_sync(partial(guest.wait_for, "vde-guest ready: hostname=guest eth0=192.0.2.1/24"))
        opening = open_link(f"udp://{GROUP}:{PORT}", TestSurroundings())
        with inside(here):
            link = await opening.__aenter__()
        try:
            answer = b""
            while answer[6:12] != GUEST:
                await link.send([arp_request()])
                with trio.move_on_after(0.5):
                    answer = await receive_ours(link, b"\x08\x06")
            assert answer[:6] == OURS
            assert answer[20:22] == b"\0\2"  # a reply
            assert answer[28:32] == bytes([192, 0, 2, 1])
        finally:
            await opening.__aexit__(None, None, None)
