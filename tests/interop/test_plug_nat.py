"""nat:// and slirp:// with a guest in a namespace: DHCP, DNS, TCP in and out, IPv6; Debian's slirp:// beside.

The guest is a tap in a namespace with busybox's DHCP client; the host is `tests.interop.nat_host`, cut off as well.
"""

import ast
import contextlib
import functools
import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trio

from plugs.registry import open_link
from tests.interop.namespaces import in_namespace
from tests.lab_runner import LabRunner
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_nat import arp_answer
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
PATIENCE_S = 30.0
SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
echo "$ip $mask $router $dns $domain $hostname" > {answer}
ip address add $ip/$mask dev $interface
ip route add default via $router dev $interface
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as connection:
    connection.sendall(b"guest")
    print(connection.makefile().read())
"""
ASKER = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.settimeout(20)
    sock.connect((sys.argv[1], int(sys.argv[2])))
    sock.send(b"guest")
    print(sock.recv(100).decode())
"""
FETCHER = """
import hashlib, socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as connection:
    file = connection.makefile("rb")
    expected = file.readline().decode().strip()
    octets = file.read()
print(len(octets), hashlib.sha256(octets).hexdigest() == expected)
"""
UDP_SERVER = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.bind(("0.0.0.0", 7))
    print("listening", flush=True)
    datagram, who = sock.recvfrom(100)
    sock.sendto(b"guest heard " + datagram, who)
"""
SERVER = """
import socket
with socket.create_server(("0.0.0.0", 7)) as server:
    print("listening", flush=True)
    connection, (host, _) = server.accept()
    connection.sendall(b"guest heard " + connection.recv(100))
    connection.close()
    print(host, flush=True)
"""


class Guest:
    """A namespace with a tap, behind a NAT."""

    def __init__(self, namespace: str, host: "subprocess.Popen[str]", facts: dict[str, object]) -> None:
        self.namespace = namespace
        self.host = host
        self.facts = facts
        self.tap = tap_name()

    def run(self, *arguments: str) -> str:
        return in_namespace(self.namespace, *arguments)

    def get_lease(self, home: Path) -> list[str]:
        """What DHCP said: address, prefix, router, name server, domain, host name."""
        script, answer = home / "lease.sh", home / "lease"
        script.write_text(SCRIPT.format(answer=answer))
        script.chmod(0o755)
        self.run("busybox", "udhcpc", "-i", self.tap, "-n", "-q", "-f", "-s", str(script))
        return answer.read_text().split()

    def greet(self, address: str, port: int) -> str:
        return self.run(sys.executable, "-c", CLIENT, address, str(port)).strip()

    def wait_for_prefix(self, prefix: str) -> str:
        """The address that the kernel made of a router's advertisement."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for line in self.run("ip", "-6", "-o", "address", "show", "dev", self.tap, "scope", "global").splitlines():
                if f" {prefix}" in line and "tentative" not in line:
                    return line.split()[3]
        raise AssertionError(f"no address of {prefix}: {self.run('ip', '-6', 'address')}")

    def connect_from_host(self, port: int | str) -> str:
        assert self.host.stdin is not None
        assert self.host.stdout is not None
        self.host.stdin.write(f"{port}\n")
        self.host.stdin.flush()
        return self.host.stdout.readline().strip()

    @contextlib.contextmanager
    def serving(self, program: str) -> Iterator["subprocess.Popen[str]"]:
        """A program in the guest that has said `listening`."""
        with subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        ) as inside:
            assert inside.stdout is not None
            try:
                assert inside.stdout.readline() == "listening\n"
                yield inside
            finally:
                inside.kill()


def tap_name() -> str:
    return f"vn{os.getpid()}"


@contextlib.contextmanager
def guest_behind(vnl: str, whose: str, namespace: str) -> Iterator[Guest]:
    command = [sys.executable, "-m", "tests.interop.nat_host", namespace, tap_name(), vnl, whose]
    with subprocess.Popen(
        ["unshare", "--net", "--mount", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        try:
            ready, _, facts = host.stdout.readline().partition(" ")
            assert ready.strip() == "ready"
            for command in (
                [
                    "sysctl",
                    "-qw",
                    f"net.ipv6.conf.{tap_name()}.accept_ra=2",
                    f"net.ipv6.conf.{tap_name()}.accept_dad=0",
                ],
                ["ip", "link", "set", "lo", "up"],
                ["ip", "link", "set", tap_name(), "up"],
            ):
                in_namespace(namespace, *command)
            yield Guest(namespace, host, ast.literal_eval(facts))
            host.stdin.close()
            assert host.wait(PATIENCE_S) == 0
        finally:
            host.kill()


ENGINES = [
    pytest.param("nat:///engine=passt/tcpfwd=9090::7/udpfwd=9091::7", "ours", id="passt"),
    pytest.param("nat:///engine=libslirp/tcpfwd=9090::7/udpfwd=9091::7", "ours", id="libslirp"),
    pytest.param("slirp:///tcpfwd=9090:10.0.2.15:7/udpfwd=9091:10.0.2.15:7", "ours", id="slirp"),
    pytest.param("slirp:///tcpfwd=9090:10.0.2.15:7/udpfwd=9091:10.0.2.15:7", "original", id="vde_plug"),
]


@pytest.mark.parametrize(("vnl", "whose"), ENGINES)
def test_a_guest_is_configured_and_reaches_and_is_reached(
    vnl: str, whose: str, two_namespaces: tuple[str, str], short_path: Path, need_tool: NeedTool
) -> None:
    need_tool("busybox")
    need_tool("passt" if "passt" in vnl else "vde_plug" if whose == "original" else "unshare")
    with guest_behind(vnl, whose, two_namespaces[0]) as guest:
        if whose == "ours":
            assert guest.facts["engine"] == ("passt" if "passt" in vnl else "libslirp")
        address, prefix, router, server, *_ = guest.get_lease(short_path)
        assert (address, prefix, router) == ("10.0.2.15", "24", "10.0.2.2")
        assert server == ("10.0.2.2" if "passt" in vnl else "10.0.2.3")
        assert "192.0.2.7" in guest.run("busybox", "nslookup", "-type=a", "server.test", server)
        assert guest.greet("10.0.2.2", 8080) == "hello guest"
        assert guest.run(sys.executable, "-c", ASKER, "10.0.2.2", "8080").strip() == "hello guest"
        assert guest.run(sys.executable, "-c", FETCHER, "10.0.2.2", "8081").split() == [str(4 << 20), "True"]
        with guest.serving(SERVER) as inside:
            assert guest.connect_from_host(9090) == "guest heard host"
            assert inside.stdout is not None
            assert inside.stdout.readline().startswith("10.0.2.")
        with guest.serving(UDP_SERVER):
            assert guest.connect_from_host("udp 9091") == "guest heard host"
        guest.wait_for_prefix("fd00::")
        assert guest.greet("fd00::2", 8080) == "hello guest"
        assert guest.run(sys.executable, "-c", FETCHER, "fd00::2", "8081").split() == [str(4 << 20), "True"]


def test_guests_reach_unix_sockets_and_commands(
    two_namespaces: tuple[str, str], short_path: Path, need_tool: NeedTool
) -> None:
    need_tool("busybox")
    program = short_path / "shout"
    program.write_text("#!/bin/sh\nread word\necho $word, too\n")
    program.chmod(0o755)
    path = short_path / "s"
    vnl = f"slirp:///unixfwd='10.0.2.4:7000:{path},7001:{path}'/cmdfwd='10.0.2.5:7002:{program}'"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        with guest_behind(vnl, "ours", two_namespaces[0]) as guest:
            guest.get_lease(short_path)
            for address, port in (("10.0.2.4", "7000"), ("10.0.2.4", "7001")):
                with subprocess.Popen(
                    ["ip", "netns", "exec", guest.namespace, sys.executable, "-c", CLIENT, address, port],
                    stdout=subprocess.PIPE,
                    text=True,
                ) as client:
                    try:
                        connection, _ = listener.accept()
                        with connection:
                            connection.sendall(b"unix heard " + connection.recv(100))
                        assert client.stdout is not None
                        assert client.stdout.read().strip() == "unix heard guest"
                    finally:
                        client.kill()
            assert guest.run("sh", "-c", "echo guest | busybox nc 10.0.2.5 7002").strip() == "guest, too"


@pytest.fixture
def labs(short_path: Path) -> Iterator[LabRunner]:
    with LabRunner(short_path, fake_guests=False) as runner:
        yield runner


TWO_GUESTS = """
nodes:
  sw: {{kind: switch}}
  gw: {{kind: plug, vnl: "nat:///engine={engine}"}}
  a: {{kind: view, ipv4: 10.0.2.21/24, gateway: 10.0.2.2}}
  b: {{kind: view, ipv4: 10.0.2.22/24, gateway: 10.0.2.2}}
links: [gw -- sw, a -- sw, b -- sw]
checks:
  a-to-b: {{node: a, ping: b, count: 1, within: 30s}}
  a-fetches: {{node: a, within: 30s, console: {{send: "{fetch}\\n", expect: "{sum}"}}}}
  b-fetches: {{node: b, within: 30s, console: {{send: "{fetch}\\n", expect: "{sum}"}}}}
"""


@pytest.mark.parametrize("engine", ["passt", "libslirp"])
def test_two_guests_of_one_switch_fetch_at_the_same_time(engine: str, labs: LabRunner, need_tool: NeedTool) -> None:
    """Frames of one went to the other, and what they said to one another was answered by the router."""
    if engine == "passt":
        need_tool("passt")
    octets = random.Random(engine).randbytes(4 << 20)
    (labs.directory / "file").write_bytes(octets)
    handler = functools.partial(QuietHandler, directory=labs.directory)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, served(server) as port:
        fetch = f"wget -qO - http://10.0.2.2:{port}/file | sha256sum"
        labs.write(TWO_GUESTS.format(engine=engine, fetch=fetch, sum=hashlib.sha256(octets).hexdigest()))
        output = labs.vde("up", "--until-checked")
    for check in ("a-to-b", "a-fetches", "b-fetches"):
        assert f"check {check}: ok" in output
    labs.assert_nothing_is_left()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()


async def test_qemus_plug_serves_a_passt_that_somebody_else_started(short_path: Path, need_tool: NeedTool) -> None:
    os.chmod(short_path, 0o777)  # passt makes its socket as `nobody`
    command = [need_tool("passt"), "--foreground", "--one-off", "--socket", str(short_path / "s"), "-a", "10.0.2.15",
               "-n", "24", "-g", "10.0.2.2", "-t", "none", "-u", "none"]  # fmt: skip
    passt = await trio.lowlevel.open_process(command, stderr=subprocess.DEVNULL)
    try:
        async with open_link(f"qemu://{short_path}/s[reconnect=0.05]", TestSurroundings()) as link:
            with trio.fail_after(20):
                while not link.state()["connected"]:
                    await trio.lowlevel.checkpoint()
            assert len(await arp_answer(link, "10.0.2.2")) == 6
        with trio.fail_after(20):
            assert await passt.wait() == 0
    finally:
        passt.kill()
        await passt.wait()


ROUTELESS = """
import subprocess, sys, trio
from plugs.registry import open_link
from tests.plugs.surroundings import TestSurroundings

async def main():
    for command in sys.argv[1:]:
        subprocess.run(["ip", *command.split()], check=True)
    surroundings = TestSurroundings()
    async with open_link("nat://", surroundings) as link:
        print(link.state()["engine"])
        with trio.fail_after(20):
            while not surroundings.warnings:
                await trio.lowlevel.checkpoint()
    print(*surroundings.warnings)

trio.run(main)
"""
WITH_IPV4 = (
    "link add up0 type veth peer name up1",
    "link set up0 up",
    "link set up1 up",
    "address add 192.0.2.1/24 dev up0",
    "route add default via 192.0.2.2",
)


@pytest.mark.parametrize(
    ("commands", "engine", "words"),
    [((), "libslirp", "passt did not start"), (WITH_IPV4, "passt", "passt does no IPv6")],
    ids=["no-route", "no-route-of-ipv6"],
)
def test_a_host_without_a_route_is_told_what_it_misses(
    commands: tuple[str, ...], engine: str, words: str, need_tool: NeedTool
) -> None:
    need_tool("passt")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", ROUTELESS, *commands],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said, told = done.stdout.split("\n", 1)
    assert said == engine
    assert words in told
