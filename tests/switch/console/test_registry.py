"""The command table: that the original's commands are all there, unchanged and reachable, and ours in nobody's way."""

import re
from pathlib import Path

import pytest

from switch.console.call import Call
from switch.console.commands import add_all
from switch.console.registry import HELP_HEADER, Command, Menu, Registry
from switch.plugins.shelf import CATALOGUE
from tests.switch.console.rig import Rig

ORIGINAL_HELP = (Path(__file__).parent / "original_help.txt").read_text().splitlines()
"""`help` of vde_switch 2.3.2 with its plugins dump, pdump and iplog loaded."""
CORRECTED = {"delete port from the vlan N (tagged)": "add port to the vlan N (tagged)"}
"""Help texts, ours → the original's: that of vlan/delport was wrong (2.3.3 corrects it in the same way)."""


def nothing(call: Call) -> None:
    """A handler."""


def all_entries(rig: Rig) -> list[Command | Menu]:
    for name in CATALOGUE:
        rig.console.plugins.load(name)
    return list(rig.console.registry)


def test_help_is_the_originals_with_ours_in_between(rig: Rig) -> None:
    all_entries(rig)
    ours = rig.data("help")
    for right, wrong in CORRECTED.items():
        ours = [line.replace(right, wrong) for line in ours]
    kept = [line for line in ours if line in ORIGINAL_HELP]
    assert kept == ORIGINAL_HELP
    assert ours[:2] == list(HELP_HEADER)


def test_our_commands_take_no_line_that_an_original_one_took(rig: Rig) -> None:
    original = [line.split(" ", 1)[0] for line in ORIGINAL_HELP[2:] if "======" not in line]
    commands = [entry for entry in all_entries(rig) if isinstance(entry, Command)]
    own = [command.path for command in commands if command.path not in original]
    assert len(own) == 16
    for path in original:
        for tail in ("", "x", " 1 2"):
            found = rig.console.registry.find(path + tail)
            assert found is not None
            assert found[0].path == next(p for p in original if (path + tail).startswith(p))


def test_every_command_can_be_called(rig: Rig) -> None:
    for entry in all_entries(rig):
        found = rig.console.registry.find(entry.path)
        assert found == ((entry, "") if isinstance(entry, Command) else None)


def test_the_first_whole_path_that_begins_the_line_is_meant() -> None:
    registry = Registry()
    auto, create = (Command(path, "", "", nothing) for path in ("port/createauto", "port/create"))
    registry.add(Menu("port", "PORTS"), auto, create)
    assert registry.find("port/createauto5") == (auto, "5")
    assert registry.find("port/create \t auto ") == (create, "auto ")
    assert registry.find("port/creat") is None
    assert registry.find("Port/create") is None
    assert registry.find("port") is None


def test_a_command_that_could_never_be_called_is_refused() -> None:
    registry = Registry()
    registry.add(Command("port/create", "", "", nothing))
    with pytest.raises(ValueError, match="port/createauto can never be called: port/create is found first"):
        registry.add(Command("port/createauto", "", "", nothing))


def test_what_was_added_can_be_removed() -> None:
    registry = Registry()
    add_all(registry)
    before = list(registry)
    menu, command = Menu("x", "X"), Command("x/y", "", "", nothing)
    registry.add(menu, command)
    registry.remove(menu, command)
    assert list(registry) == before


def test_the_manual_has_every_command_category_and_plugin(rig: Rig) -> None:
    manual = (Path(__file__).parents[3] / "docs/console.md").read_text()
    words = set(re.findall(r"[\w/+-]+", manual))
    paths = {entry.path for entry in all_entries(rig) if isinstance(entry, Command)}
    assert paths - words == set()
    assert {path for path in rig.switch.events.categories if not path.startswith("pdump/")} - words == set()
