"""The command line: defaults and derivations of vde_switch 2.3.2, and what is refused."""

from pathlib import Path

import pytest

from switch.options import Help, Options, Version, derive_modes, parse, usage
from vde.errors import ConfigError


def options(*argv: str, euid: int = 1000, home: str = "/nowhere") -> Options:
    chosen, complaints = parse(argv, environ={"HOME": home}, euid=euid, random_octets=lambda n: bytes(range(n)))
    assert complaints == []
    return chosen


def test_defaults_are_the_originals() -> None:
    chosen = options("-f", "/nowhere")
    assert chosen.directory == Path("/tmp/vde.ctl")
    assert options(euid=0).directory == Path("/var/run/vde.ctl")
    assert (chosen.mode, chosen.dirmode, chosen.mgmt_mode) == (0o600, 0o2700, 0o600)
    assert chosen.mac == bytes.fromhex("00ff00010203")
    assert (chosen.num_ports, chosen.hash_size, chosen.priority) == (32, 128, 0x8000)
    assert chosen.mgmt is None
    assert chosen.pidfile is None
    assert chosen.rcfile is None


@pytest.mark.parametrize(
    ("mode", "dirmode", "derived"),
    [
        (None, None, (0o600, 0o2700)),
        (0o666, None, (0o666, 0o2777)),
        (0o660, None, (0o660, 0o2770)),
        (0o644, None, (0o644, 0o2755)),
        (0o777, None, (0o777, 0o2777)),
        (None, 0o750, (0o640, 0o750)),
        (0o600, 0o711, (0o600, 0o711)),
    ],
)
def test_modes_are_derived_from_one_another(mode: int | None, dirmode: int | None, derived: tuple[int, int]) -> None:
    assert derive_modes(mode, dirmode) == derived


def test_numbers_are_read_in_any_base() -> None:
    assert options("-n", "0x10").num_ports == 16
    assert options("-n", "010").num_ports == 8
    assert options("--priority", "0x17000").priority == 0x7000


def test_the_last_of_repeated_options_wins_but_taps_add_up() -> None:
    chosen = options("-s", "/a", "-s", "/b", "-t", "tap0", "--tap=tap1")
    assert chosen.directory == Path("/b")
    assert chosen.taps == ("tap0", "tap1")


def test_hub_wins_over_fstp() -> None:
    assert options("-x", "-F").fstp is False


def test_an_address_may_be_dotted() -> None:
    assert options("--macaddr", "0.ff.1.2.3.4").mac == bytes.fromhex("00ff01020304")


def test_the_users_rcfile_is_found_before_the_systems(tmp_path: Path) -> None:
    (tmp_path / ".vde2").mkdir()
    (tmp_path / ".vde2/vde_switch.rc").write_text("")
    assert options(home=str(tmp_path)).rcfile == tmp_path / ".vde2/vde_switch.rc"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("-n", "0"), "Invalid number of ports 0"),
        (("-n", "many"), "Invalid number of ports many"),
        (("--macaddr", "1:2:3"), "Invalid MAC Addr 1:2:3"),
        (("-m", "999"), "Invalid mode 999"),
        (("--forwarder", "asm"), "'native' or 'python'"),
        (("--maxframe", "100"), "1518 to 65535"),
        (("stray",), "'stray'"),
        (("-s", ""), "--sock: a path"),
    ],
)
def test_impossible_values_are_refused_with_what_would_be_possible(argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        options(*argv)


def test_help_names_every_option() -> None:
    with pytest.raises(Help):
        options("-h")
    with pytest.raises(Version):
        options("--version")
    text = usage("vdeswitch")
    for name in ("--sock", "--pidfile", "--mode", "--mgmt", "--group", "--numports", "--hub", "--tap", "--maxframe"):
        assert name in text
