"""Our ROMs are what their source makes."""

from pathlib import Path

import pytest

from emulators.firmware import umps3 as firmware
from emulators.loaders.umps import read_rom
from emulators.umps_tools import elf2umps
from tests.emulators.umps.kernels import compile_object
from tests.tools import NeedTool

need_tool = NeedTool()


@pytest.mark.parametrize("rom", [firmware.BOOT, firmware.EXECUTION], ids=lambda path: path.name)
def test_a_rom_is_what_its_source_makes(tmp_path: Path, rom: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = rom.name.removesuffix(".rom.umps")
    made = compile_object(tmp_path, name, rom.with_name(f"{name}.s").read_text(), need_tool)
    assert elf2umps.run(["-b", str(made)], "elf2umps") == 0
    assert capsys.readouterr().err == ""  # no relocations
    assert Path(f"{made}.rom.umps").read_bytes() == rom.read_bytes()


def test_the_rom_begins_where_processors_do() -> None:
    rom = read_rom(firmware.EXECUTION.read_bytes(), "execution.rom.umps")
    places = {at: rom[at : at + 4] for at in (0x000, 0x080, 0x100, 0x108)}
    assert bytes(4) not in places.values()
