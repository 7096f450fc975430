"""The benchmark of engines: CoreMark is the unmodified one, and its program runs from the disk that the peers get."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from emulators.boards import mac, pc, umps3
from emulators.outside import Bench, MemoryDisk
from tests.bench import boot_disk
from tests.bench.cpu_guests import ARCHITECTURES, COREMARK, COREMARK_PROOFS, FINISHED, compile_coremark, umps_config
from tests.bench.mac_rom import mac_rom

MOST_INSNS = 100_000_000


def test_coremark_is_unmodified() -> None:
    for line in (COREMARK / "coremark.md5").read_text().splitlines():
        total, name = line.split()
        assert hashlib.md5((COREMARK / name).read_bytes(), usedforsecurity=False).hexdigest() == total, name


def test_coremark_from_the_disk(tmp_path: Path) -> None:
    compiles = subprocess.run(
        ["gcc", "-m32", "-ffreestanding", "-c", "-x", "c", "-o", "/dev/null", "/dev/null"], check=False
    )
    if shutil.which("ld") is None or compiles.returncode:
        pytest.skip("no compiler for i386")
    program = tmp_path / "program"
    compile_coremark(ARCHITECTURES["i386"], program, iterations=2)
    outside = Bench(disk_list=[MemoryDisk(boot_disk.program_disk(boot_disk.boot_sector(tmp_path), program))])
    machine = pc.build(pc.Params(boot="disk", memory=16 << 20, disks=("ide",)), outside)
    while FINISHED not in (said := outside.written["serial0"]):
        assert machine.cpu.icount < MOST_INSNS, bytes(said)
        machine.run_for(1_000_000)
    assert all(proof in said for proof in COREMARK_PROOFS), bytes(said)


def test_coremark_as_a_kernel_for_umps3(tmp_path: Path) -> None:
    architecture = ARCHITECTURES["umps3"]
    if any(shutil.which(tool) is None for tool in architecture.tools):
        pytest.skip(f"{' or '.join(architecture.tools)} is not there")
    program = tmp_path / "program"
    compile_coremark(architecture, program, iterations=2)
    outside = Bench()
    machine = umps3.build(umps3.Params(umps_config(program)), outside)
    while FINISHED not in (said := outside.written["terminal0"]):
        assert machine.cpu.icount < MOST_INSNS, bytes(said)
        machine.run_for(1_000_000)
    assert all(proof in said for proof in COREMARK_PROOFS), bytes(said)


def test_coremark_from_a_macintoshs_rom(tmp_path: Path) -> None:
    if shutil.which("powerpc-linux-gnu-gcc") is None:
        pytest.skip("no compiler for PowerPC")
    program, rom = tmp_path / "program", tmp_path / "rom"
    compile_coremark(ARCHITECTURES["ppc"], program, iterations=2)
    rom.write_bytes(mac_rom(program))
    outside = Bench()
    machine = mac.build(mac.Params(firmware=str(rom), boot="prompt", nics=()), outside)
    while FINISHED not in (said := outside.written["serial0"]):
        assert machine.cpu.icount < MOST_INSNS, bytes(said)
        machine.run_for(1_000_000)
    assert all(proof in said for proof in COREMARK_PROOFS), bytes(said)
