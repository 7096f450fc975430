"""Command lines of User-Mode Linux."""

from pathlib import Path

import pytest

from vde.errors import ConfigError
from vde.host.uml import INTERFACES_MAX, Card, check, prepare

KERNEL = Path("/images/uml/linux.uml")
RUN = Path("/run/lab/u")


def words(*cards: Card, parameters: str = "") -> tuple[str, ...]:
    return prepare(KERNEL, RUN, cards, initrd=Path("/images/initrd"), parameters=parameters).arguments


def test_it_is_started_in_its_own_directory_with_its_console_on_standard_streams() -> None:
    launch = prepare(KERNEL, RUN, [], initrd=Path("/images/initrd"), memory_mib=64, parameters="hostname=u  quiet")
    assert launch.directory == KERNEL.parent
    assert launch.arguments == (
        "/images/uml/linux.uml", "mem=64M", "uml_dir=/run/lab/u", "umid=uml", "con=null", "con0=fd:0,fd:1",
        "initrd=/images/initrd", "hostname=u", "quiet",
    )  # fmt: skip
    disk = prepare(KERNEL, RUN, [], root=Path("/images/disk")).arguments
    assert disk[-2:] == ("ubd0=/images/disk", "root=/dev/ubda")


@pytest.mark.parametrize(
    ("card", "word"),
    [
        (Card("vde", "/run/sw"), "vec0:transport=vde,vnl=vde:///run/sw"),
        (Card("vde", "vxlan://239.0.0.1/vni=7"), "vec0:transport=vde,vnl=vxlan://239.0.0.1/vni=7"),
        (Card("vde", "/run/sw", "02:00:00:00:00:01"), "vec0:transport=vde,vnl=vde:///run/sw,mac=02:00:00:00:00:01"),
        (Card("fd", "7"), "vec0:transport=fd,fd=7"),
        (Card("tap", "tap0"), "vec0:transport=tap,ifname=tap0"),
        (Card("old-vde", "/run/sw"), "eth0=vde,/run/sw"),
        (Card("old-vde", "/run/sw", "02:00:00:00:00:01", 3), "eth0=vde,/run/sw,02:00:00:00:00:01,3"),
        (Card("old-vde", "/run/sw", port=7), "eth0=vde,/run/sw,,7"),
        (Card("daemon", "/run/sw"), "eth0=daemon,,unix,/run/sw/ctl"),
        (Card("daemon", "/run/sw", "02:00:00:00:00:01"), "eth0=daemon,02:00:00:00:00:01,unix,/run/sw/ctl"),
    ],
)
def test_cards(card: Card, word: str) -> None:
    assert words(card)[-1] == word


def test_cards_are_counted_and_descriptors_inherited() -> None:
    launch = prepare(KERNEL, RUN, [Card("fd", "5"), Card("vde", "/s"), Card("fd", "9")], initrd=Path("/i"))
    assert [word.partition(":")[0] for word in launch.arguments[-3:]] == ["vec0", "vec1", "vec2"]
    assert launch.pass_fds == (5, 9)


def test_our_vde_plug_is_found_before_others() -> None:
    launch = prepare(KERNEL, RUN, [], initrd=Path("/i"), plug_directory=Path("/opt/vde/bin"))
    assert launch.environment["PATH"].split(":")[0] == "/opt/vde/bin"


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (Card("vde", "/run/a,b"), "cannot have a comma"),
        (Card("vde", "/run/a b"), "or a space"),
        (Card("vde", "/run/a\nb"), "cannot have"),
        (Card("fd", "x"), "the number of a descriptor"),
        (Card("vde", "/run/sw", "2:0:0:0:0:1"), "six pairs"),
    ],
)
def test_what_its_options_cannot_say(card: Card, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        words(card)


def test_bounds() -> None:
    with pytest.raises(ConfigError, match=f"at most {INTERFACES_MAX}"):
        words(*[Card("tap", "t")] * (INTERFACES_MAX + 1))
    with pytest.raises(ConfigError, match="at least 32"):
        prepare(KERNEL, RUN, [], initrd=Path("/i"), memory_mib=8)
    with pytest.raises(ConfigError, match="an initrd or a root disk"):
        prepare(KERNEL, RUN, [])


def test_a_kernel_without_the_driver_is_refused_before_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    kernel = tmp_path / "linux.uml"
    with pytest.raises(ConfigError, match="vde image pull uml"):
        check(kernel, [])
    kernel.write_bytes(b"\x7fELF transport vde_plug")
    kernel.chmod(0o755)
    check(kernel, [Card("vde", "/s"), Card("fd", "3")])
    with pytest.raises(ConfigError, match="no driver for the transport 'daemon'"):
        check(kernel, [Card("daemon", "/s")])
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(ConfigError, match="this machine is aarch64"):
        check(kernel, [])
