"""A switch's rings in place of its sockets: only where they mean the same."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from plugs import offered_rings
from plugs.shm import Params, ShmLink
from plugs.vde import VdeLink
from tests.plugs.surroundings import TestSurroundings
from tests.switch_process import SwitchProcess
from vde.errors import ConfigError, LinkBroken

StartSwitch = Callable[..., SwitchProcess]
PATIENCE_S = 20.0


@pytest.mark.parametrize(
    ("options", "port"),
    [("", 0), ("[7]", 7), ("[port=7]", 7)],
)
def test_which_port_is_meant(start_switch: StartSwitch, options: str, port: int) -> None:
    directory = str(start_switch().directory)
    assert offered_rings.find(f"vde://{directory}{options}") == (directory, Params(port=port))
    assert offered_rings.find(f"{directory}{options}") == (directory, Params(port=port))


@pytest.mark.parametrize("options", ["[0]", "[name]", "[mode=770]", "[group=root]", "[7/mode=770]"])
def test_what_only_sockets_can_give_stays_with_them(start_switch: StartSwitch, options: str) -> None:
    assert offered_rings.find(f"vde://{start_switch().directory}{options}") is None


def test_no_switch_none_with_rings_and_other_plugs(short_path: Path) -> None:
    assert offered_rings.find(f"vde://{short_path}/none") is None
    (short_path / "ring").touch()  # no socket
    assert offered_rings.find(f"vde://{short_path}") is None
    assert offered_rings.find("null://") is None
    with pytest.raises(ConfigError, match="nope"):
        offered_rings.find("nope://")


def test_a_socket_of_the_ports_name_goes_first(start_switch: StartSwitch) -> None:
    switch = start_switch()
    (switch.directory / "7").touch()
    assert offered_rings.find(f"vde://{switch.directory}[7]") is None


async def test_a_link_of_either_kind(start_switch: StartSwitch) -> None:
    vnl = f"vde://{start_switch().directory}"
    with trio.fail_after(PATIENCE_S):
        async with offered_rings.open_link(vnl, TestSurroundings()) as link:
            assert isinstance(link, ShmLink)
        os.unlink(vnl.removeprefix("vde://") + "/ring")
        async with offered_rings.open_link(vnl, TestSurroundings()) as link:
            assert isinstance(link, VdeLink)


async def test_where_the_rings_refuse_the_sockets_are_asked(start_switch: StartSwitch) -> None:
    switch = start_switch("-n", "4")
    with trio.fail_after(PATIENCE_S), pytest.raises(LinkBroken, match="the switch refused port 9"):
        async with offered_rings.open_link(f"{switch.directory}[9]", TestSurroundings()):
            pass
