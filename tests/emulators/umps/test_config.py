"""uMPS3's machine configuration: everything that it may say, and every fault with its key, value and expectation."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.loaders import umps_config
from emulators.loaders.umps_config import DeviceFile, MachineConfig, parse_config, read_config
from vde.errors import ConfigError

# As uMPS3 3.0.5's settings dialogue writes it.
ORIGINAL = """\
{
  "boot": {
    "core-file": "kernel.core.umps",
    "load-core-file": true
  },
  "bootstrap-rom": "/usr/share/umps3/coreboot.rom.umps",
  "clock-rate": 2,
  "devices": {
    "disk0": {
      "enabled": true,
      "file": "disk0.umps"
    },
    "disk1": {
      "enabled": false,
      "file": ""
    },
    "eth0": {
      "address": "02:aa:bb:cc:dd:0e",
      "enabled": true,
      "file": "/run/switch"
    },
    "eth1": {
      "enabled": true,
      "file": "vxvde://239.0.0.1"
    },
    "printer7": {
      "enabled": true,
      "file": "printer7.umps"
    },
    "terminal0": {
      "enabled": true,
      "file": "term0.umps"
    }
  },
  "execution-rom": "/usr/share/umps3/exec.rom.umps",
  "num-processors": 4,
  "num-ram-frames": 128,
  "symbol-table": {
    "asid": 64,
    "file": "kernel.stab.umps"
  },
  "tlb-floor-address": "0x40000000",
  "tlb-size": 32
}
"""
FOLDER = Path("/labs/one")


def parse(text: str) -> MachineConfig:
    return parse_config(text.encode(), "m.json", FOLDER)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text)
    return str(raised.value).splitlines()


def test_a_file_of_the_original() -> None:
    config = parse(ORIGINAL)
    assert (config.processors, config.clock_rate, config.tlb_size, config.tlb_floor) == (4, 2, 32, 0x4000_0000)
    assert (config.ram_frames, config.ram_octets, config.asid) == (128, 128 * 4096, 64)
    assert config.core == FOLDER / "kernel.core.umps"
    assert config.symbols == FOLDER / "kernel.stab.umps"
    assert (config.boot_rom, config.execution_rom) == (umps_config.BOOT_ROM, umps_config.EXECUTION_ROM)
    assert config.devices == {
        ("disk", 0): DeviceFile("/labs/one/disk0.umps"),
        ("eth", 0): DeviceFile("/run/switch", bytes.fromhex("02aabbccdd0e")),
        ("eth", 1): DeviceFile("vxvde://239.0.0.1"),
        ("printer", 7): DeviceFile("/labs/one/printer7.umps"),
        ("terminal", 0): DeviceFile("/labs/one/term0.umps"),
    }
    assert config.of_kind("eth") == [(0, config.devices["eth", 0]), (1, config.devices["eth", 1])]


def test_what_an_empty_object_says(tmp_path: Path) -> None:
    config = parse_config(b"{}", "m.json", tmp_path)
    assert config == MachineConfig("m.json", core=tmp_path / "kernel.core.umps")
    (tmp_path / "kernel.stab.umps").write_bytes(b"")
    assert parse_config(b"{}", "m.json", tmp_path).symbols == tmp_path / "kernel.stab.umps"


def test_the_end_of_ram_as_tlb_floor() -> None:
    config = parse('{"tlb-floor-address": "0x00000000", "num-ram-frames": 100}')
    assert config.tlb_floor == 0x2000_0000 + 100 * 4096


def test_no_core_file() -> None:
    assert parse('{"boot": {"load-core-file": false, "core-file": ""}}').core is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"num-processors": 17}', "num-processors: 17: 1 to 16 was expected"),
        ('{"num-processors": true}', "num-processors: true: 1 to 16 was expected"),
        ('{"num-processors": 1.5}', "num-processors: 1.5: 1 to 16 was expected"),
        ('{"clock-rate": 0}', "clock-rate: 0: 1 to 99 was expected"),
        ('{"tlb-size": 5}', "tlb-size: 5: 4, 8, 16, 32 or 64 was expected"),
        ('{"tlb-floor-address": 0}', 'tlb-floor-address: 0: a hexadecimal address such as "0x80000000" was expected'),
        (
            '{"tlb-floor-address": "0x123456789"}',
            'tlb-floor-address: "0x123456789": a hexadecimal address such as "0x80000000" was expected',
        ),
        ('{"num-ram-frames": 7}', "num-ram-frames: 7: 8 to 512 was expected"),
        ('{"boot": []}', "boot: []: an object was expected"),
        ('{"boot": {"core-file": "x"}}', "boot.load-core-file: it is missing"),
        ('{"boot": {"load-core-file": true}}', "boot.core-file: null: a file's name was expected"),
        ('{"boot": {"load-core-file": true, "core-file": ""}}', 'boot.core-file: "": a file\'s name was expected'),
        ('{"boot": {"load-core-file": 1}}', "boot.load-core-file: 1: true or false was expected"),
        ('{"execution-rom": 3}', "execution-rom: 3: a file's name was expected"),
        ('{"symbol-table": {"file": "s", "asid": 65}}', "symbol-table.asid: 65: 0 to 64 was expected"),
        ('{"symbol-table": {"asid": 6}}', "symbol-table.file: it is missing"),
        ('{"devices": 1}', "devices: 1: an object was expected"),
        (
            '{"devices": {"disk8": {}}}',
            "devices.disk8: {}: no such device; disk, flash, eth, printer, terminal with 0 to 7 behind it was expected",
        ),
        ('{"devices": {"disk0": {"enabled": true}}}', "devices.disk0.file: it is missing"),
        (
            '{"devices": {"disk0": {"enabled": true, "file": ""}}}',
            'devices.disk0.file: "": a file\'s name was expected',
        ),
        (
            '{"devices": {"disk0": {"enabled": true, "file": "d", "address": "02:00:00:00:00:01"}}}',
            'devices.disk0.address: "02:00:00:00:00:01": no such key; enabled, file was expected',
        ),
        (
            '{"devices": {"eth0": {"enabled": true, "file": "d", "address": "03:00:00:00:00:01"}}}',
            'devices.eth0.address: "03:00:00:00:00:01": a unicast address (an even first octet) was expected',
        ),
        (
            '{"devices": {"eth0": {"enabled": true, "file": "d", "address": "2"}}}',
            'devices.eth0.address: "2": a MAC address such as 02:00:00:00:00:01 was expected',
        ),
        (
            '{"devices": {"disk0": {"enabled": true, "file": "d"}, "flash3": {"enabled": true, "file": "d"}}}',
            'devices.flash3.file: "/labs/one/d": a file of its own (devices.disk0 has this one) was expected',
        ),
        ('{"num-cpus": 1}', "num-cpus: 1: no such key; num-processors, clock-rate"),
        ('{"clock-rate": 1, "clock-rate": 2}', "clock-rate: 2: it once (it was 1 before) was expected"),
    ],
)
def test_faults(text: str, fault: str) -> None:
    (told,) = faults(text)
    assert told.startswith(f"m.json: {fault}")


def test_all_faults_are_told_at_once() -> None:
    told = faults('{"clock-rate": 100, "tlb-size": 3, "devices": {"x": 1, "eth0": {"enabled": "yes", "file": "f"}}}')
    assert len(told) == 4


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "m.json:1:1: Expecting value (JSON was expected)"),
        ('{\n "a": }', "m.json:2:7: Expecting value (JSON was expected)"),
        ("[]", "m.json: []: an object was expected"),
        ('{"clock-rate": NaN}', "m.json: NaN: a number was expected"),
        ("[" * 100_000, "m.json: nested too deep (a machine configuration was expected)"),
        (" " * (umps_config.LARGEST_OCTETS + 1), f"m.json: more than {umps_config.LARGEST_OCTETS} octets"),
        ('{"clock-rate": 1' + "0" * 5000 + "}", "m.json: "),
    ],
)
def test_what_is_no_configuration(text: str, fault: str) -> None:
    (told,) = faults(text)
    assert told.startswith(fault)


def test_octets_that_are_no_text() -> None:
    with pytest.raises(ConfigError, match="not UTF-8"):
        parse_config(b'{"a": "\xff"}', "m.json", FOLDER)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_config(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
PLACES = (
    ["num-processors"],
    ["tlb-floor-address"],
    ["boot"],
    ["boot", "core-file"],
    ["symbol-table", "asid"],
    ["devices"],
    ["devices", "disk0"],
    ["devices", "eth0", "address"],
    ["devices", "terminal0", "enabled"],
)


@pytest.mark.fuzz
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_anywhere(place: list[str], value: Any) -> None:
    whole = json.loads(ORIGINAL)
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with contextlib.suppress(ConfigError):
        parse(json.dumps(whole))


@pytest.mark.fuzz
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:01.tfn \\', max_size=80).map(str.encode))
def test_garbage_is_refused_or_read(octets: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_config(octets, "m.json", FOLDER)
