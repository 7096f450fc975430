"""vdens: what its command line means."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from vde.cli.programs.classic import Help
from vde.cli.programs.vdens import read, usage
from vde.errors import ConfigError
from vde.host.view.plan import Bind

SHELL = {"SHELL": "/bin/zsh"}


@pytest.mark.parametrize(
    ("line", "vnls", "command"),
    [
        ("", [], ["/bin/zsh"]),
        ("-", [], ["/bin/zsh"]),
        ("no ls -l", [], ["ls", "-l"]),
        ("vxvde://", ["vxvde://"], ["/bin/zsh"]),
        ("vde:// ip addr -s", ["vde://"], ["ip", "addr", "-s"]),
        ("-c -u -- /run/a ls --multi", ["/run/a"], ["ls", "--multi"]),
        ("-m vde:// vxvde://", ["vde://", "vxvde://"], ["/bin/zsh"]),
        ("--multi -s /a /b /c -- sh -c -m", ["/a", "/b", "/c"], ["sh", "-c", "-m"]),
        ("-i eth -H name no sh", [], ["sh"]),
        ("--iface eth /run/a", ["/run/a"], ["/bin/zsh"]),
        ("--iface=eth /run/a true", ["/run/a"], ["true"]),
        ("-ieth /run/a true", ["/run/a"], ["true"]),
    ],
)
def test_networks_and_command(line: str, vnls: list[str], command: list[str]) -> None:
    asked = read(line.split(), SHELL)
    assert [net.vnl for net in asked.view.nets] == vnls
    assert asked.command == command
    assert asked.view.own_network
    prefix = "eth" if "eth" in line else "vde"
    assert [net.name for net in asked.view.nets] == [f"{prefix}{number}" for number in range(len(vnls))]
    assert asked.view.may_mount == ("-s /a" in line)


def test_name_servers_count_more_than_a_file_and_options_more_than_the_environment() -> None:
    environment = SHELL | {"VDE_RESOLVADDR": "192.0.2.1", "VDE_RESOLVCONF": "/e"}
    view = read(["-R", "9.9.9.9,2620:fe::fe", "-r", "/r", "no"], environment).view
    assert (view.dns, view.binds) == ((ip_address("9.9.9.9"), ip_address("2620:fe::fe")), ())
    assert read(["no"], environment).view.dns == (ip_address("192.0.2.1"),)
    only_files = SHELL | {"VDE_RESOLVCONF": "/e"}
    assert read(["no"], only_files).view.binds == (Bind(Path("/e"), Path("/etc/resolv.conf")),)
    assert read(["-r", "/r", "no"], only_files).view.binds == (Bind(Path("/r"), Path("/etc/resolv.conf")),)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("-m", "at least one VNL"),
        ("-m -- sh", "at least one VNL"),
        ("--bogus no", "unrecognized option"),
        ("-i", "requires an argument"),
        ("-R 9.9.9 no", "'9.9.9': an IP address was expected"),
        ("-i sixteen-octets-x /run/a", "a name of 1 to 15 octets"),
    ],
)
def test_wrong_command_lines(line: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        read(line.split(), SHELL)


def test_help() -> None:
    with pytest.raises(Help):
        read(["-h"])
    assert "--resolvaddr ADDR" in usage()
