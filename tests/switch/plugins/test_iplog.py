"""`iplog`: addresses, ports and users; ranges; the log; what invented addresses cannot do."""

import os
import re
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.plugins.iplog import ADDRESSES_MAX, LINES_PER_S, source_address
from tests.switch.console.rig import Rig
from tests.vde_client import frame, tagged


def from_ip(address: str, mac: int = 1, head: int | None = None) -> bytes:
    """A frame with this IP source; `head`: the packet's first octet."""
    source = ip_address(address).packed
    if len(source) == 4:
        packet = bytes([head or 0x45]) + bytes(11) + source + bytes(4)
        return frame(mac, payload=packet, ethertype=0x0800)
    packet = bytes([head or 0x60]) + bytes(7) + source + bytes(16)
    return frame(mac, payload=packet, ethertype=0x86DD)


@pytest.fixture
def iplog(rig: Rig) -> Rig:
    for line in ("plugin/add iplog", "iplog/ipadd 10.0.0.0/8", "iplog/ipadd fd00::/8"):
        assert rig.do(line) == "1000 Success\n"
    return rig


def told(rig: Rig, far: socket.socket, *frames: bytes) -> list[str]:
    """The events that these frames cause."""
    session = rig.listen("iplog")
    rig.send(far, *frames)
    lines = session.take().decode().splitlines()
    session.end()
    return lines


def test_a_new_address_is_told_once(iplog: Rig) -> None:
    one = iplog.plug(1, "first")[1]
    iplog.plug(1, "second")
    event = '3301 iplog/newip ipv4 10.1.2.3 mac=02:00:00:00:00:01 port=1 vlan=0 user=root "second" "first"'
    assert told(iplog, one, from_ip("10.1.2.3"), from_ip("10.1.2.3")) == [event]
    assert told(iplog, one, from_ip("fd00::ffff:10.1.2.3"))[0].startswith(
        "3301 iplog/newip ipv6 fd00::ffff:a01:203 mac="
    )
    assert iplog.data("iplog/iplist") == ["ipv4 10.1.2.3 port=1 user=root", "ipv6 fd00::ffff:a01:203 port=1 user=root"]


def test_it_is_told_again_with_another_mac_or_port(iplog: Rig) -> None:
    one, two = iplog.plug(1)[1], iplog.plug(2)[1]
    assert len(told(iplog, one, from_ip("10.0.0.1", 1), from_ip("10.0.0.1", 2), from_ip("10.0.0.1", 2))) == 2
    assert len(told(iplog, two, from_ip("10.0.0.1", 2))) == 1
    assert iplog.data("iplog/iplist") == ["ipv4 10.0.0.1 port=2 user=root"]


@pytest.mark.parametrize(
    "octets",
    [
        from_ip("11.0.0.1"),
        from_ip("fe80::1"),
        from_ip("10.0.0.1", head=0x44),
        from_ip("10.0.0.1", head=0x55),
        from_ip("fd00::1", head=0x40),
        from_ip("10.0.0.1")[:29],
        frame(1, payload=bytes(40), ethertype=0x0806),
    ],
)
def test_what_is_not_told(iplog: Rig, octets: bytes) -> None:
    assert told(iplog, iplog.plug(1)[1], octets) == []


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (from_ip("10.0.0.1", head=0x4F), "ipv4 10.0.0.1"),
        (from_ip("fd00::1", head=0x6A), "ipv6 fd00::1"),
        (from_ip("10.0.0.1")[:30], "ipv4 10.0.0.1"),
    ],
)
def test_what_is_told(iplog: Rig, octets: bytes, shown: str) -> None:
    assert shown in told(iplog, iplog.plug(1)[1], octets)[0]


def test_the_vlan_is_the_one_that_the_frame_is_in(iplog: Rig) -> None:
    one, two = iplog.plug(1)[1], iplog.plug(2)[1]
    for line in ("vlan/create 5", "vlan/addport 5 1", "port/setvlan 2 5"):
        iplog.do(line)
    assert "mac=02:00:00:00:00:07 port=1 vlan=5" in told(iplog, one, tagged(from_ip("10.0.0.1", 7), 5))[0]
    assert "port=2 vlan=5" in told(iplog, two, from_ip("10.0.0.2"))[0]
    assert "port=1 vlan=9" in told(iplog, one, tagged(from_ip("10.0.0.3"), 9))[0]


def test_addresses_go_with_their_port(iplog: Rig) -> None:
    number, one = iplog.plug(1)
    told(iplog, one, from_ip("10.0.0.1"))
    one.send(from_ip("10.0.0.9"))
    iplog.switch.pull_out(number, iplog.now_ns)
    iplog.poll()
    assert iplog.data("iplog/iplist") == []
    assert len(told(iplog, iplog.plug(1)[1], from_ip("10.0.0.1"))) == 1


def test_silent_addresses_are_forgotten(iplog: Rig) -> None:
    one = iplog.plug(1)[1]
    assert iplog.do("iplog/setexpire 20") == "1000 Success\n"
    told(iplog, one, from_ip("10.0.0.1"), from_ip("10.0.0.2"))
    iplog.wait(15)
    assert told(iplog, one, from_ip("10.0.0.2")) == []
    iplog.wait(6)
    assert iplog.data("iplog/iplist") == ["ipv4 10.0.0.2 port=1 user=root"]
    assert len(told(iplog, one, from_ip("10.0.0.1"))) == 1
    iplog.wait(21)
    assert len(told(iplog, one, from_ip("10.0.0.2"))) == 1


def test_ranges(iplog: Rig) -> None:
    assert iplog.data("iplog/list") == ["  ipv4: 10.0.0.0/8", "  ipv6: fd00::/8"]
    assert iplog.status("iplog/ipadd 10.99.0.0/8") == 1017
    assert iplog.status("iplog/ipadd 192.168.1.1") == 1000
    assert iplog.status("iplog/ipadd 172.16.0.0/255.240.0.0") == 1000
    for wrong in ("", "abc", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1", "1.2.3.4.5/8"):
        assert iplog.status(f"iplog/ipadd {wrong}") == 1022
    assert iplog.data("iplog/list")[1:3] == ["  ipv4: 192.168.1.1/32", "  ipv4: 172.16.0.0/12"]
    assert iplog.status("iplog/ipdel 10.0.0.0/9") == 1002
    assert iplog.status("iplog/ipdel x") == 1022
    one = iplog.plug(1)[1]
    told(iplog, one, from_ip("10.0.0.1"))
    assert iplog.status("iplog/ipdel 10.1.1.1/8") == 1000
    assert told(iplog, one, from_ip("10.0.0.2")) == []
    assert iplog.data("iplog/iplist") == ["ipv4 10.0.0.1 port=1 user=root"]


def test_searching(iplog: Rig) -> None:
    one, two = iplog.plug(1)[1], iplog.plug(2, uid=4242)[1]
    told(iplog, one, from_ip("10.0.0.10"), from_ip("10.0.0.9"))
    told(iplog, two, from_ip("fd00::1"))
    nine, ten, six = (
        "ipv4 10.0.0.9 port=1 user=root",
        "ipv4 10.0.0.10 port=1 user=root",
        "ipv6 fd00::1 port=2 user=4242",
    )
    assert iplog.data("iplog/iplist") == [nine, ten, six]
    assert iplog.data("iplog/ipport 1") == [nine, ten]
    assert iplog.data("iplog/ipport x") == []
    assert iplog.data("iplog/ipuser root") == [nine, ten]
    assert iplog.data("iplog/ipuser 4242") == [six]
    assert iplog.status("iplog/ipuser nosuchuser") == 1022
    assert iplog.status("iplog/ipuser") == 1022
    assert iplog.data("iplog/ipsearch fd00:0::1") == [six]
    assert iplog.data("iplog/ipsearch 10.0.0.11") == []
    assert iplog.status("iplog/ipsearch 10.0.0") == 1022


def test_the_log_file(iplog: Rig, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    assert iplog.data("iplog/showinfo") == [
        "iplog: ip/port/user logging plugin",
        "log disabled",
        "GC interval 10 secs",
        "GC expire 360 secs",
    ]
    assert iplog.do(f"iplog/logfile {path}") == "1000 Success\n"
    one = iplog.plug(1, "evil\nNov 22 07:43:27 ipv4 6.6.6.6")[1]
    iplog.send(one, from_ip("10.1.2.3"))
    assert iplog.data("iplog/showinfo")[1] == f"log on file {path}"
    assert iplog.status("iplog/logfile /nonexistent/x") == 1002
    assert iplog.data("iplog/showinfo")[1] == f"log on file {path}"
    assert iplog.do("iplog/logfile") == "1000 Success\n"
    iplog.send(one, from_ip("10.1.2.4"))
    before, line = path.read_text().splitlines()
    assert before == "before"
    assert re.fullmatch(
        r"Nov 1[45] \d\d:\d\d:21 ipv4 10\.1\.2\.3 mac=02:00:00:00:00:01 port=1 vlan=0 user=root "
        r'"evil\\nNov 22 07:43:27 ipv4 6\.6\.6\.6"',
        line,
    )


def test_a_new_log_file_is_private(iplog: Rig, tmp_path: Path) -> None:
    iplog.do(f"iplog/logfile {tmp_path}/new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_syslog(iplog: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[int, str]] = []
    monkeypatch.setattr("syslog.syslog", lambda priority, line: lines.append((priority, line)))
    iplog.do("iplog/logfile -")
    assert iplog.data("iplog/showinfo")[1] == "log on syslog"
    iplog.send(iplog.plug(1)[1], from_ip("10.1.2.3"))
    assert lines == [(6, 'ipv4 10.1.2.3 mac=02:00:00:00:00:01 port=1 vlan=0 user=root "test"')]


def test_a_full_disk_costs_the_line_only(iplog: Rig) -> None:
    iplog.do("iplog/logfile /dev/full")
    one = iplog.plug(1)[1]
    assert len(told(iplog, one, from_ip("10.1.2.3"))) == 1
    assert iplog.messages == ["iplog: /dev/full: No space left on device"]


def test_invented_addresses_fill_neither_the_disk_nor_the_memory(
    iplog: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switch.plugins.iplog.ADDRESSES_MAX", 1500)
    iplog.do(f"iplog/logfile {tmp_path}/log")
    one = iplog.plug(1)[1]
    for count in range(0, 2000, 50):
        iplog.send(one, *[from_ip(f"10.0.{n >> 8}.{n & 255}") for n in range(count, count + 50)])
    assert len((tmp_path / "log").read_text().splitlines()) == LINES_PER_S
    listed = iplog.data("iplog/iplist")
    assert len(listed) == 1500
    assert listed[0].startswith("ipv4 10.0.1.244 ")
    iplog.wait(1)
    iplog.send(one, from_ip("10.9.9.9"))
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line[16:] for line in lines[LINES_PER_S:-1]] == ["1000 new addresses not logged: more than 1000/s"]
    assert ADDRESSES_MAX == 65536


def test_times_cannot_be_negative(iplog: Rig) -> None:
    assert iplog.status("iplog/setexpire -1") == 1022
    assert iplog.status("iplog/setgcint -1") == 1022
    assert iplog.status("iplog/setgcint 3") == 1000
    assert iplog.data("iplog/showinfo")[2:] == ["GC interval 3 secs", "GC expire 360 secs"]


def test_unloading_closes_the_log(iplog: Rig, tmp_path: Path) -> None:
    iplog.do(f"iplog/logfile {tmp_path}/log")
    before = len(os.listdir("/proc/self/fd"))
    iplog.do("plugin/del iplog")
    assert len(os.listdir("/proc/self/fd")) == before - 1
    assert not iplog.switch.events.wanted("port/-")


@pytest.mark.fuzz
@given(st.binary(max_size=80))
def test_any_octets_have_a_source_or_none(octets: bytes) -> None:
    found = source_address(octets)
    assert found is None or (found[0].packed in octets and 0 <= found[1] <= 0xFFF)
