"""dtls:// against OpenSSL's own s_client and s_server, and on a path whose MTU shrinks."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from plugs.dtls import open_dtls
from plugs.parts.dtls_link import DtlsLink
from plugs.parts.tunnel import FRAME, message
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_contract import collect, frame
from tests.plugs.test_dtls import QUICK, make_certificate
from tests.plugs.udp_ports import free_udp_port
from tests.tools import NeedTool

pytestmark = pytest.mark.interop


@asynccontextmanager
async def openssl(*arguments: str) -> AsyncIterator[trio.Process]:
    process = await trio.lowlevel.open_process(
        ["openssl", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                await stream.aclose()


async def read_until(process: trio.Process, words: bytes) -> bytes:
    assert process.stdout is not None
    said = b""
    with trio.fail_after(20):
        while words not in said:
            octets = await process.stdout.receive_some()
            assert octets, said
            said += octets
    return said


async def test_s_client_shakes_hands_and_sends_a_frame(short_path: Path, need_tool: NeedTool) -> None:
    need_tool("openssl")
    ca, _, _ = make_certificate(short_path, "ca")
    ours, theirs = (make_certificate(short_path, name, "ca") for name in ("ours", "theirs"))
    port = free_udp_port()
    params = replace(QUICK, listen=True, cert=ours[0], key=ours[1], ca=ca, dead=20.0, keepalive=10.0)
    async with open_dtls(f"127.0.0.1:{port}", params, TestSurroundings()) as link:
        assert isinstance(link, DtlsLink)
        async with openssl(
            "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", "-CAfile", ca, "-verify_return_error",
            "-cert", theirs[0], "-key", theirs[1], "-quiet",
        ) as client:  # fmt: skip
            assert client.stdin is not None
            await client.stdin.send_all(message(FRAME, frame(7)))
            with trio.fail_after(20):
                assert await collect(link, 1) == [frame(7)]
            assert link.state()["connected"]
            await client.stdin.send_all(b"no message of ours\n")
            await link.send([frame(8)])
            assert frame(8) in await read_until(client, frame(8))
        assert link.statistics().dropped_in == {"framing": 1}


async def test_s_client_without_our_certificate_gets_nothing(short_path: Path, need_tool: NeedTool) -> None:
    need_tool("openssl")
    ours = make_certificate(short_path, "ours")
    stranger = make_certificate(short_path, "stranger")
    port, surroundings = free_udp_port(), TestSurroundings()
    params = replace(QUICK, listen=True, cert=ours[0], key=ours[1], ca=ours[0], patience=1.0)
    async with open_dtls(f"127.0.0.1:{port}", params, surroundings) as link:
        assert isinstance(link, DtlsLink)
        arguments = ("s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", "-quiet")
        for certificate in ((), ("-cert", stranger[0], "-key", stranger[1])):
            before = link.failed_handshakes
            async with openssl(*arguments, *certificate) as client:
                assert client.stdin is not None
                await client.stdin.send_all(message(FRAME, frame(7)))
                with trio.fail_after(20):
                    while link.failed_handshakes == before:
                        await trio.lowlevel.checkpoint()
        assert link.refused >= 1
        assert link.associations == 0
        assert link.statistics().received_frames == 0
    assert len(surroundings.warnings) == 1


async def test_s_server_is_connected_to(short_path: Path, need_tool: NeedTool) -> None:
    need_tool("openssl")
    ca, _, _ = make_certificate(short_path, "ca")
    ours, theirs = (make_certificate(short_path, name, "ca") for name in ("ours", "theirs"))
    port = free_udp_port()
    async with openssl(
        "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-CAfile", ca, "-Verify", "2", "-verify_return_error",
        "-cert", theirs[0], "-key", theirs[1], "-quiet", "-listen",
    ) as server:  # fmt: skip
        params = replace(QUICK, cert=ours[0], key=ours[1], peer=theirs[2], dead=20.0, keepalive=10.0)
        async with open_dtls(f"127.0.0.1:{port}", params, TestSurroundings()) as link:
            assert isinstance(link, DtlsLink)
            with trio.fail_after(30):
                await link.wait_connected()
            await link.send([frame(8)])
            await read_until(server, frame(8))
            assert server.stdin is not None
            await server.stdin.send_all(message(FRAME, frame(7)))
            with trio.fail_after(20):
                assert await collect(link, 1) == [frame(7)]


SHRINKING_PATH = """
import subprocess, sys, trio
from dataclasses import replace
from pathlib import Path
from plugs.dtls import open_dtls
from tests.plugs.pairs.dtls import key_file
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_contract import collect, frame
from tests.plugs.test_dtls import QUICK

def mtu(octets):
    subprocess.run(["ip", "link", "set", "lo", "up", "mtu", str(octets)], check=True)

async def main():
    params = replace(QUICK, key=key_file(Path(sys.argv[1])), dead=20.0, keepalive=10.0)
    mtu(1500)
    async with open_dtls("127.0.0.1:5000", replace(params, listen=True), TestSurroundings()) as server:
        async with open_dtls("127.0.0.1:5000", params, TestSurroundings()) as client:
            await client.wait_connected()
            rooms = []
            for octets in (1500, 1000, 700):
                mtu(octets)
                sent = [frame(number, 1400) for number in range(20)]
                await client.send(sent)
                assert await collect(server, 20) == sent
                await server.send(sent)
                assert await collect(client, 20) == sent
                rooms.append(client.state()["room_octets"])
            assert client.associations == 1
            print(*rooms)

trio.run(main)
"""


def test_a_path_that_shrinks_loses_no_frame(short_path: Path, need_tool: NeedTool) -> None:
    need_tool("ip")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", SHRINKING_PATH, str(short_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rooms = [int(word) for word in done.stdout.split()]
    assert 1400 < rooms[0] < 1472
    assert 900 < rooms[1] < 972
    assert 600 < rooms[2] < 672
