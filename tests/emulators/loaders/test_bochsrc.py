import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.board import Said
from emulators.boards.pc import BOARD
from emulators.loaders import bochsrc
from vde.errors import ConfigError

SAMPLE = Path("/usr/share/doc/bochs/examples/bochsrc.gz")
TEXT = """\
# a guest of 2004
megs: 64
cpu: model=p2_klamath, ips=15000000
romimage: file=$BXSHARE/BIOS-bochs-latest
optromimage1: file=card.rom, address=0xd0000
floppya: 1_44="my, floppy.img", status=inserted, write_protected=1
floppyb: 1_44=/dev/fd1, status=inserted
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1-master: type=cdrom, path=debian.iso, status=inserted
ata0-slave: type=disk, mode=undoable, path=b.img, cylinders=306, heads=4, spt=17
ata0-master: type=disk, path="$HOME/a.img" # autodetect
boot: cdrom, disk
ne2k: ioaddr=0x300, irq=9, mac=b0:c4:20:00:00:01, ethmod=vde, ethdev="/tmp/vde.ctl"
e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script=slirp.conf
com1: enabled=1, mode=file, dev=serial.out
clock: sync=realtime, time0=1000000000
mouse: enabled=1
sb16: midimode=1, wavemode=1
panic: action=ask
usb_uhci: enabled=0
"""


def said(tmp_path: Path, text: str) -> Said:
    path = tmp_path / "bochsrc"
    path.write_text(text)
    return bochsrc.read(path, {"HOME": "/home/u", "BXSHARE": "/usr/share/bochs"})


def unused(found: Said) -> list[tuple[int, str]]:
    """Line and what, of `…/bochsrc:LINE: WHAT`."""
    parts = [text.rpartition("/bochsrc:")[2].split(": ", 1) for text in found.unused]
    return [(int(line), what) for line, what in parts]


def test_the_card_has_the_interrupt_that_the_file_says(tmp_path: Path) -> None:
    found = said(tmp_path, "ne2k: ioaddr=0x300, irq=7, ethmod=null\n")
    assert found.options == {"isa_irq": 7}
    assert found.nics == ("ne2000-isa,none",)
    assert found.unused == ()


def test_what_has_a_counterpart(tmp_path: Path) -> None:
    found = said(tmp_path, TEXT)
    assert found.options == {
        "memory": 64 << 20,
        "cpu": "pentium2",
        "option_rom": ("card.rom",),
        "boot": "cdrom",
        "date": 1_000_000_000,
    }
    assert found.disks == (
        "floppy,file=my, floppy.img,ro",
        "ide,file=/home/u/a.img,rw",
        "ide,file=b.img,overlay",
        "cdrom,file=debian.iso,ro",
    )
    assert found.nics == ("e1000,mac=52:54:00:12:34:56,nat://", "ne2000-isa,mac=b0:c4:20:00:00:01,vde:///tmp/vde.ctl")
    assert found.consoles == {"serial0": "file:serial.out"}
    assert found.clock == "host"
    assert unused(found) == [
        (4, "romimage"),
        (7, "floppyb: /dev/fd1"),
        (13, "ne2k: irq=9 (the card has 5)"),
        (18, "sb16"),
        (19, "panic"),
    ]
    assert BOARD.read(found.options).memory == 64 << 20


def test_includes_later_lines_and_other_formats(tmp_path: Path) -> None:
    (tmp_path / "more").write_text(
        "memory: guest=32, host=16\nboot: a\nata0-master: type=disk, mode=vbox, path=c.vdi\n"
    )
    found = said(tmp_path, 'megs: 64\n#include "more"\nata1-slave: type=disk, mode=sparse, path=s\n')
    assert found.options == {"memory": 32 << 20, "boot": "floppy"}
    assert found.disks == ("ide,file=c.vdi,format=vdi",)
    assert unused(found) == [(3, "ata1-slave: mode=sparse")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("megs: lots", "bochsrc:1: megs: 'lots': a number"),
        ("\nboot: tape", "bochsrc:2: boot: 'tape'"),
        ("nonsense", "'option: value' was expected"),
        ("ata0-master: type=disk", "no path"),
        ("ata0-master: type=tape, path=x", "disk or cdrom"),
        ("clock: sync=sometimes", "realtime"),
        ("ne2k: card=x", "a number"),
        ("#include missing", "No such file"),
        ("#include bochsrc", "files deep"),
        ("x:" + "y" * 5000, "4096 characters"),
        ("a:\n" * 20_001, "20000 lines"),
        ("#" * (1 << 20) + "#", "octets"),
    ],
)
def test_what_is_wrong_is_shown_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        said(tmp_path, text)


@pytest.mark.skipif(not SAMPLE.exists(), reason="Debian's package bochs is not installed")
def test_the_sample_of_bochs_itself(tmp_path: Path) -> None:
    found = said(tmp_path, gzip.decompress(SAMPLE.read_bytes()).decode("latin-1"))
    assert found.options["memory"] == 512 << 20
    assert "sb16" in [what for _, what in unused(found)]


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(TEXT.splitlines()) | st.text(max_size=40), max_size=20), st.integers(0, 40))
def test_any_file_is_read_or_refused(tmp_path: Path, lines: list[str], cut: int) -> None:
    try:
        found = said(tmp_path, "\n".join(line[cut:] for line in lines))
    except ConfigError:
        return
    assert all(len(what) < 100 for _, what in unused(found))
