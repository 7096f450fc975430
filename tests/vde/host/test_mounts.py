"""Reading the list of mounts; host names, clocks and the rest of what `vde view` is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.cli.view import _joined, build_parser, read_view
from vde.errors import ConfigError
from vde.host.view.overlay import PSEUDO, Mounted, read_mounts

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
42 27 254:0 /a /run/with\040blank rw shared:1 master:2 - ext4 /dev/vda rw
43 27 0:30 / /mnt/\303\244 rw - tmpfs tmpfs rw
malformed
1 2 3 4 5
"""


def test_mounts_are_read_with_their_escapes() -> None:
    assert read_mounts(MOUNTS) == [
        Mounted("/proc", "proc"),
        Mounted("/run/with blank", "ext4"),
        Mounted("/mnt/ä", "tmpfs"),
    ]
    assert "proc" in PSEUDO


@pytest.mark.fuzz
@given(st.text(st.characters(max_codepoint=255), max_size=300))
def test_hostile_lists_of_mounts(text: str) -> None:
    for mounted in read_mounts(text + "\n1 2 3 4 " + text + " rw - ext4 x rw"):
        assert isinstance(mounted.path, str)


def view(*words: str) -> object:
    return read_view(build_parser().parse_args(_joined(list(words))))


def test_options_of_an_interface_follow_it() -> None:
    words = "--net a --addr 10.0.0.1/24 --addr fd00::1/64 --net b --ifname up --mac 02:00:00:00:00:01 --gw 10.0.0.9"
    found = read_view(build_parser().parse_args(words.split()))
    assert [(net.vnl, net.name, len(net.addresses), net.mac) for net in found.nets] == [
        ("a", "vde0", 2, None),
        ("b", "up", 0, "02:00:00:00:00:01"),
    ]
    assert found.own_network
    none = read_view(build_parser().parse_args(["--net", "none"]))
    assert (none.nets, none.own_network) == ((), True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("-15m", -900), ("2h", 7200), ("1d", 86400), ("0.5", 0.5), ("-2", -2)]
)
def test_time_offsets(text: str, seconds: float) -> None:
    options = build_parser().parse_args(_joined(["--time-offset", text]))
    assert options.time_offset == round(seconds * 10**9)


@pytest.mark.parametrize(
    "words",
    [
        "--own /etc",
        "--overlay x --overlay-tmp",
        "--gw 10.0.0.1",
        "--hostname=",
        "--net a --ifname x --net b --ifname x",
    ],
)
def test_options_that_contradict_each_other(words: str) -> None:
    with pytest.raises(ConfigError):
        view(*words.split(" "))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--addr 10.0.0.1/24", "--net VNL must come before it"),
        ("--net a --addr 10.0.0.1", "the length of the prefix is missing"),
        ("--net a --addr x/24", "ADDRESS/PREFIX was expected"),
        ("--net a --mac x --mac y", "given twice"),
        ("--bind /a", "SRC:DST or SRC:DST:ro was expected"),
        ("--bind /a:/b:rw", "SRC:DST or SRC:DST:ro was expected"),
        ("--time-offset soon", "a time was expected"),
        ("--time-offset inf", "a time was expected"),
        ("--dns x", "an IP address was expected"),
    ],
)
def test_options_that_are_wrong(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        view(*words.split())
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
