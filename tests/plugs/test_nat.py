"""nat:// and slirp://: what is asked for, which engine does it, and what is refused by name."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from plugs import nat
from plugs.parts import libslirp, passt_process
from plugs.parts.nat_plan import Forward, NatOptions, Service, plan
from plugs.parts.passt_link import SILENT_S
from plugs.parts.passt_process import addresses, arguments, refusals
from plugs.registry import open_link
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_contract import until_broken
from tests.tools import NeedTool
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import Link

GUEST = bytes.fromhex("020000000001")


def arp_for(address: str, guest: bytes = GUEST) -> bytes:
    """RFC 826: who has `address`? tell 10.0.2.15."""
    return (
        b"\xff" * 6 + guest + bytes.fromhex("0806 0001 0800 06 04 0001")
        + guest + IPv4Address("10.0.2.15").packed + bytes(6) + IPv4Address(address).packed
    )  # fmt: skip


async def arp_answer(link: Link, address: str, guest: bytes = GUEST, *, only: bool = False) -> bytes:
    """The Ethernet address that answers; `only`: as the first thing that comes."""
    await link.send([arp_for(address, guest)])
    with trio.fail_after(20):
        while True:
            for frame in await link.receive():
                if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2":
                    assert frame[:6] == guest
                    assert frame[28:32] == IPv4Address(address).packed
                    return frame[22:28]
                assert not only, frame.hex(" ")


def test_the_defaults_are_those_of_the_original() -> None:
    made = plan(NatOptions())
    assert str(made.host4) == "10.0.2.2/24"
    assert (str(made.dhcp4), str(made.dns4)) == ("10.0.2.15", "10.0.2.3")
    assert (str(made.host6), str(made.dns6)) == ("fd00::2/64", "fd00::3")
    assert made.dhcp
    assert made.dns


@pytest.mark.parametrize(
    ("options", "four", "six"),
    [
        (NatOptions(v4=True), True, False),
        (NatOptions(v6=True), False, True),
        (NatOptions(v4=True, v6=True), True, True),
        (NatOptions(v4=False), False, True),
        (NatOptions(v6=False), True, False),
    ],
)
def test_families_as_the_original_chooses_them(options: NatOptions, four: bool, six: bool) -> None:
    made = plan(options)
    assert (made.host4 is not None, made.host6 is not None) == (four, six)


def test_forwards_and_services() -> None:
    made = plan(
        NatOptions(
            tcpfwd="8080:10.0.2.15:80,127.0.0.1:22::22,[::1]:81:[fd00::15]:80",
            udpfwd="53::53",
            unixfwd="6000:/tmp/x:y",
            cmdfwd="10.0.2.5:7:cat -n",
        )
    )
    guest = IPv4Address("10.0.2.15")
    assert made.forwards == (
        Forward(False, None, 8080, guest, 80),
        Forward(False, IPv4Address("127.0.0.1"), 22, guest, 22),
        Forward(False, IPv6Address("::1"), 81, IPv6Address("fd00::15"), 80),
        Forward(True, None, 53, guest, 53),
    )
    assert made.unix == (Service(None, 6000, "/tmp/x:y"),)
    assert made.commands == (Service(IPv4Address("10.0.2.5"), 7, "cat -n"),)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (NatOptions(host="10.0.2"), "with its prefix"),
        (NatOptions(host="10.0.2.2/31"), "8 to 28"),
        (NatOptions(host6="10.0.2.2/24"), "IPv6 address with"),
        (NatOptions(v4=False, v6=False), "nothing would be left"),
        (NatOptions(dns="10.0.3.3"), "of 10.0.2.0/24"),
        (NatOptions(dns="10.0.2.2"), "another was expected"),
        (NatOptions(dhcp="maybe"), "or off"),
        (NatOptions(mtu=600), "at least 1280"),
        (NatOptions(hostname="x" * 34), "33 octets"),
        (NatOptions(tcpfwd="80"), "PORT"),
        (NatOptions(tcpfwd="0::80"), "1 to 65535"),
        (NatOptions(tcpfwd="80:there:80"), "no address"),
        (NatOptions(tcpfwd="127.0.0.1:80:[fd00::1]:80"), "same family"),
        (NatOptions(v6=True, tcpfwd="80::80"), "guest's address"),
        (NatOptions(unixfwd="6000"), "TARGET"),
    ],
)
def test_what_is_wrong_is_said(options: NatOptions, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(options)


@pytest.mark.fuzz
@given(st.text(alphabet="0123456789.:[],af/", max_size=30))
def test_random_forwards_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        for one in plan(NatOptions(tcpfwd=text, udpfwd=text, unixfwd=text)).forwards:
            assert 1 <= one.port <= 65535


def test_passt_is_told_everything_that_it_can_do() -> None:
    options = NatOptions(
        host="10.9.0.1/24", dhcp="10.9.0.77", tcpfwd="127.0.0.1:80:10.9.0.77:8080", mtu=1400, search="a,b",
        disable_host_loopback=True, dns="off",
    )  # fmt: skip
    made = plan(options)
    assert not refusals(made)
    told = " ".join(arguments(made, 0, 5, "/x"))
    for part in ("-a 10.9.0.77 -n 24 -g 10.9.0.1", "-a fd00::4d -g fd00::2", "-m 1400", "-S a b", "--no-map-gw",
                 "-D none", "-t 127.0.0.1/80:8080", "-u none", "--fd 5"):  # fmt: skip
        assert part in told


def test_passt_refuses_by_name() -> None:
    names = refusals(plan(NatOptions(restrict=True, hostname="h", dns="10.0.2.9", tcpfwd="80:10.0.2.99:80")))
    assert names[:3] == ["restrict", "hostname", "dns"]
    assert names[3].startswith("tcpfwd to 10.0.2.99")


async def test_engines_are_chosen_by_what_they_can_do(need_tool: NeedTool, monkeypatch: pytest.MonkeyPatch) -> None:
    need_tool("passt")
    for vnl, engine in (("nat://", "passt"), ("nat:///restrict", "libslirp"), ("slirp://", "libslirp")):
        async with open_link(vnl, TestSurroundings()) as link:
            assert link.state()["engine"] == engine
    with pytest.raises(ConfigError, match=r"passt cannot do restrict; engine=libslirp can"):
        async with open_link("nat:///restrict/engine=passt", TestSurroundings()):
            pass
    monkeypatch.setattr(passt_process, "PROGRAM", "passt-of-nobody")
    async with open_link("nat://", TestSurroundings()) as link:
        assert link.state()["engine"] == "libslirp"
    with pytest.raises(ConfigError, match="install the Debian package passt"):
        async with open_link("nat:///engine=passt", TestSurroundings()):
            pass
    monkeypatch.setattr(libslirp, "SONAME", "libslirp-of-nobody.so")
    with pytest.raises(ConfigError, match="install the Debian package libslirp0"):
        async with open_link("slirp://", TestSurroundings()):
            pass
    with pytest.raises(ConfigError, match="install the Debian package passt or libslirp0"):
        async with open_link("nat://", TestSurroundings()):
            pass


@pytest.mark.parametrize("vnl", ["nat:///engine=libslirp", "nat:///engine=passt", "slirp:///host=10.0.2.2'/'24"])
async def test_the_gateway_answers(vnl: str, need_tool: NeedTool) -> None:
    if "passt" in vnl:
        need_tool("passt")
    async with open_link(vnl, TestSurroundings()) as link:
        assert len(await arp_answer(link, "10.0.2.2")) == 6
    with pytest.raises(LinkClosed):
        await link.receive()
    with pytest.raises(LinkClosed):
        await link.send([arp_for("10.0.2.2")])


@pytest.mark.parametrize("vnl", ["slirp:///verbose", "nat:///engine=passt"])
async def test_many_guests_each_get_their_answers(vnl: str, need_tool: NeedTool) -> None:
    if "passt" in vnl:
        need_tool("passt")
    async with open_link(vnl, TestSurroundings()) as link:
        answers = {await arp_answer(link, "10.0.2.2", bytes([2, 0, 0, 0, 0, number])) for number in (1, 2, 3, 1, 2)}
    assert answers == {b"\x52\x55\x0a\0\2\2"}


@pytest.mark.parametrize("vnl", ["slirp://", "nat:///engine=passt"])
async def test_the_gateway_can_be_pinged_whatever_the_kernel_lets_users_do(vnl: str, need_tool: NeedTool) -> None:
    if "passt" in vnl:
        need_tool("passt")
    async with open_link(vnl, TestSurroundings()) as link:
        gateway = await arp_answer(link, "10.0.2.2")
        ether = Ether(dst=gateway.hex(":"), src=GUEST.hex(":"))
        await link.send([bytes(ether / IP(src="10.0.2.15", dst="10.0.2.2") / ICMP(id=7))])
        with trio.fail_after(20):
            while not any(Ether(frame).haslayer(ICMP) for frame in await link.receive()):
                pass


async def test_libslirp_says_what_it_is() -> None:
    async with open_link("slirp:///verbose", surroundings := TestSurroundings()):
        pass
    assert "host 10.0.2.2/24" in surroundings.warnings[0]


@pytest.mark.parametrize("vnl", ["slirp://", "nat:///engine=passt"])
async def test_what_guests_say_to_one_another_is_not_answered(vnl: str, need_tool: NeedTool) -> None:
    """Both engines were made for one guest's line; passt answered ARP for every address, and took flooded frames."""
    if "passt" in vnl:
        need_tool("passt")
    flooded = bytes(
        Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(src="10.0.2.15", dst="10.0.2.2") / ICMP() / b"hi"
    )
    async with open_link(vnl, TestSurroundings()) as link:
        await link.send([arp_for("10.0.2.16"), flooded])
        assert await arp_answer(link, "10.0.2.2", GUEST, only=True)


async def test_a_second_guest_of_passt_has_an_address_of_its_own() -> None:
    made = plan(NatOptions(tcpfwd="8080::80"))
    assert "10.0.2.16 -n 24" in (told := " ".join(arguments(made, 1, 5, "/x")))
    assert "-a fd00::10 " in told
    assert "8080" not in told
    small = plan(NatOptions(host="10.9.0.1/28", dhcp="10.9.0.2", v4=True))
    assert [addresses(small, number) for number in (0, 1, 11)] == [
        (IPv4Address("10.9.0.2"), None), (IPv4Address("10.9.0.4"), None), (IPv4Address("10.9.0.14"), None),
    ]  # fmt: skip
    assert addresses(small, 12) is None


async def test_passt_has_no_more_guests_than_it_can_serve(
    need_tool: NeedTool, mock_clock: trio.testing.MockClock
) -> None:
    need_tool("passt")
    vnl = "nat:///engine=passt/v4/host='10.9.0.1/28'/dhcp=10.9.0.12"
    async with open_link(vnl, surroundings := TestSurroundings()) as link:
        for number in range(1, 4):
            await arp_answer(link, "10.9.0.1", bytes([2, 0, 0, 0, 0, number]))
        await link.send([arp_for("10.9.0.1", bytes([2, 0, 0, 0, 0, 9]))] * 2)
        assert link.statistics().dropped_out == {"no-passt": 2}
        assert len(surroundings.warnings) == 1
        mock_clock.jump(SILENT_S)
        await arp_answer(link, "10.9.0.1", bytes([2, 0, 0, 0, 0, 9]))


async def test_the_end_of_passt_is_the_end_of_the_link(need_tool: NeedTool) -> None:
    need_tool("passt")
    async with open_link("nat:///engine=passt", TestSurroundings()) as link:
        pid = link.state()["pid"]
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(LinkBroken, match="passt ended"), trio.fail_after(20):
            await until_broken(link)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("engine", ["passt", "libslirp"])
async def test_a_port_in_use_is_said(engine: str, need_tool: NeedTool) -> None:
    if engine == "passt":
        need_tool("passt")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=str(port)):
            async with open_link(f"nat:///engine={engine}/tcpfwd=127.0.0.1:{port}::80", TestSurroundings()):
                pass


async def test_nothing_stands_before_the_options() -> None:
    for scheme in ("nat", "slirp"):
        with pytest.raises(ConfigError, match="nothing was expected"):
            async with open_link(f"{scheme}://10.0.2.2", TestSurroundings()):
                pass


def test_a_missing_library_falls_back_to_what_passt_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nat, "_has_libslirp", lambda: False)
    monkeypatch.setattr(nat, "is_installed", lambda: True)

    async def run() -> None:
        with pytest.raises(ConfigError, match="passt cannot do restrict; libslirp can: install libslirp0"):
            async with open_link("nat:///restrict", TestSurroundings()):
                pass

    trio.run(run)


OWNER = """
import trio
from plugs.registry import open_link
from tests.plugs.surroundings import TestSurroundings

async def main():
    async with open_link("nat:///engine=passt", TestSurroundings()) as link:
        print(link.state()["pid"], flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def test_passt_does_not_outlive_a_process_that_is_killed(need_tool: NeedTool) -> None:
    need_tool("passt")
    owner = await trio.lowlevel.open_process([sys.executable, "-c", OWNER], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    with trio.fail_after(20):
        async with owner.stdout:
            pid = int(await owner.stdout.receive_some())
            watched = os.pidfd_open(pid)
            owner.kill()
            await owner.wait()
            await trio.lowlevel.wait_readable(watched)
    os.close(watched)


ETHERTYPES = st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06"])


@pytest.mark.fuzz
@given(st.lists(st.tuples(ETHERTYPES, st.binary(max_size=100)), max_size=10))
@settings(max_examples=30)
def test_hostile_guests_are_ignored_or_answered(payloads: list[tuple[bytes, bytes]]) -> None:
    """Whatever a guest sends, the next one's question is answered."""

    async def run() -> None:
        async with open_link("slirp:///restrict", TestSurroundings()) as link:
            await link.send([b"\x52\x55\x0a\0\2\2" + GUEST + kind + octets for kind, octets in payloads])
            await arp_answer(link, "10.0.2.2")

    trio.run(run)
