"""Interfaces in a namespace of the test's: made, joined, taken back."""

import os
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

import pytest

from tests.tools import NeedTool
from vde.errors import ConfigError
from vde.host.interfaces import Interfaces
from vde.host.namespaces import inside, open_namespace
from vde.host.tap import open_tap

pytestmark = pytest.mark.interop  # with the kernel


@pytest.fixture
def netns(need_tool: NeedTool) -> Iterator[str]:
    """A network namespace of the test's."""
    ip = need_tool("ip")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    name = f"vdeI{os.getpid()}"
    subprocess.run([ip, "netns", "add", name], check=True)
    try:
        yield name
    finally:
        subprocess.run([ip, "netns", "delete", name], check=True)


def names(netns: str) -> set[str]:
    with Interfaces(netns) as interfaces:
        return {one.name for one in interfaces.list()}


def test_everything_is_taken_back(netns: str) -> None:
    here = names(f"/proc/{os.getpid()}/ns/net")
    with Interfaces(netns) as interfaces:
        interfaces.make_bridge("br0", mac="02:00:00:00:00:01")
        tap = interfaces.make_tap("tap%d", owner="nobody", group="1")
        assert tap == "tap0"
        interfaces.make_veth("near", "far")
        for port in (tap, "near"):
            interfaces.join(port, "br0")
        for name in ("br0", tap, "near", "far"):
            interfaces.set_up(name)
        interfaces.set_mtu(tap, 9000)
        assert interfaces.add_address("br0", ip_interface("10.0.0.1/24"))
        assert not interfaces.add_address("br0", ip_interface("10.0.0.1/24"))
        interfaces.add_address("br0", ip_interface("2001:db8::1/64"))
        interfaces.add_default_route(ip_address("10.0.0.2"))
        found = {one.name: one for one in interfaces.list()}
        assert (found["tap0"].owner, found["tap0"].group, found["tap0"].persistent) == (65534, 1, True)
        assert (found["tap0"].bridge, found["tap0"].mtu_octets, found["tap0"].is_up) == ("br0", 9000, True)
        assert found["near"].bridge == "br0"
        assert {"10.0.0.1/24", "2001:db8::1/64"} <= set(found["br0"].addresses)
        assert [one.name for one in interfaces.list("bridge")] == ["br0"]
        assert [one.name for one in interfaces.list("tap")] == ["tap0"]
        assert interfaces.close() == []
    assert names(netns) == {"lo"}
    assert names(f"/proc/{os.getpid()}/ns/net") == here


def test_what_was_there_is_left_as_it_was_found(netns: str) -> None:
    with Interfaces(netns) as before:
        before.make_bridge("old")
        before.make_tap("tap0")
        before.join("tap0", "old")
        before.add_address("tap0", ip_interface("10.0.0.1/24"))
        before.keep()
    with Interfaces(netns) as interfaces:
        interfaces.make_bridge("new")
        interfaces.join("tap0", "new")
        interfaces.set_up("tap0")
        interfaces.set_mac("tap0", "02:00:00:00:00:77")
        assert not interfaces.add_address("tap0", ip_interface("10.0.0.1/24"))
        found = interfaces.find("tap0")
        assert found is not None
        assert (found.bridge, found.mac) == ("new", "02:00:00:00:00:77")
    with Interfaces(netns) as after:
        found = after.find("tap0")
        assert found is not None
        assert (found.bridge, found.is_up, found.addresses) == ("old", False, ("10.0.0.1/24",))
        assert found.mac != "02:00:00:00:00:77"
        assert after.find("new") is None


def test_what_others_removed_meanwhile_is_no_error(netns: str) -> None:
    with Interfaces(netns) as interfaces:
        interfaces.make_bridge("br0")
        interfaces.make_tap("tap0")
        interfaces.join("tap0", "br0")
        interfaces.add_address("br0", ip_interface("10.0.0.1/24"))
        for name in ("br0", "tap0"):
            subprocess.run(["ip", "-n", netns, "link", "delete", name], check=True)
        assert interfaces.close() == []


def test_an_end_of_a_veth_in_another_namespace(netns: str) -> None:
    with Interfaces() as interfaces:
        near = f"vn{os.getpid()}"
        interfaces.make_veth(near, "eth0", netns)
        assert "eth0" in names(netns)
    assert names(netns) == {"lo"}


def test_a_persistent_tap_is_opened_by_a_program_and_frames_pass(netns: str) -> None:
    with Interfaces(netns) as interfaces:
        interfaces.make_tap("tap0")
        interfaces.set_up("tap0")
        with inside(netns):
            descriptor, _ = open_tap("tap0")
            with pytest.raises(ConfigError, match="another program uses it"):
                open_tap("tap0")
        try:
            frame = b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x88\xb5" + bytes(46)
            assert os.write(descriptor, frame) == 60
            found = interfaces.find("tap0")
            assert found is not None
            assert found.has_carrier
        finally:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda i: i.make_bridge("lo"), "making the bridge 'lo': there is an interface of that name"),
        (lambda i: i.make_tap("lo"), "interface 'lo': "),
        (lambda i: i.make_tap("a/b"), "a name of 1 to 15 octets"),
        (lambda i: i.make_tap("sixteen-octets-x"), "a name of 1 to 15 octets"),
        (lambda i: i.make_tap("t0", owner="no-such-user"), "user 'no-such-user': there is none"),
        (lambda i: i.join("lo", "none"), "bridge 'none': there is none"),
        (lambda i: i.join("lo", "lo"), "bridge 'lo': it is no bridge"),
        (lambda i: i.set_up("none"), "interface 'none': there is none"),
        (lambda i: i.delete("lo", "tap"), "interface 'lo': it is no tap"),
        (lambda i: i.leave("lo", "br0"), "interface 'lo' is in no bridge"),
        (lambda i: i.make_veth("a", "b", "no-such-namespace"), "there is no /run/netns/no-such-namespace"),
        (lambda i: i.add_default_route(ip_address("10.0.0.1")), "no interface is in its network"),
    ],
)
def test_what_is_not_possible(netns: str, action: object, message: str) -> None:
    with Interfaces(netns) as interfaces:
        with pytest.raises(ConfigError, match=message):
            action(interfaces)  # type: ignore[operator]
        interfaces.close()
    assert names(netns) == {"lo"}


def test_namespaces_that_are_none(tmp_path: object) -> None:
    for text in ("", "..", "999999999", "/nonexistent"):
        with pytest.raises(ConfigError, match="network namespace"):
            open_namespace(text)
