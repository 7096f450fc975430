"""Every row of the i386's instruction table has a test of what it does; and those rows that no other test has.

A row is tried in random states beside another processor (`test_i386_host.py`, `test_i386_unicorn.py`), or is in the
vectors of real mode, or in a test of the engine's crate that is named here, or is tried here by the manual (`MANUAL`).
"""

import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.cpus.i386 import Cpu, Vm
from emulators.cpus.i386.forms import Form, forms
from emulators.exits import Budget, ExceptionTaken, Hypercall
from tests.emulators.cpus import test_i386_host as host
from tests.emulators.cpus import test_i386_unicorn as unicorn

NATIVE = Path(__file__).parents[3] / "emulators" / "cpus" / "i386" / "native" / "src"
REAL_MODE = {
    *("int", "int3", "into", "hlt", "in", "out", "ins", "outs"),
    *("iret", "jmpf", "callf", "retf", "lds", "les", "bound"),
}
"""In the vectors of `test_i386_real_mode.py`, all files of which are tried."""
IN_THE_CRATE = {
    **dict.fromkeys(("f2xm1", "fyl2x", "fptan", "fpatan", "fyl2xp1", "fsincos", "fsin", "fcos"), "x87/tests.rs"),
    **dict.fromkeys(("fnstenv", "fnsave", "fxsave", "fxrstor"), "x87/environment_tests.rs"),
    **dict.fromkeys(("sysenter", "sysexit"), "registers_tests.rs"),
}
"""Mnemonic → the file of the test."""

CODE, DATA, GDT, STACK, HANDLER = 0x4000, 0x5000, 0x1000, 0x8000, 0x3000
ZF = 0x40
DESCRIPTORS = {
    0x08: (0x0000_FFFF, 0x00CF_9B00),  # code, flat
    0x10: (0x0000_FFFF, 0x00CF_9300),  # data, flat
    0x18: (0x0000_1234, 0x0000_F300),  # data of level 3, 1235h octets
    0x20: (0x6000_0067, 0x0000_8200),  # local descriptor table
    0x28: (0x7000_0067, 0x0000_8B00),  # busy task of 32 bits
    0x30: (0x0008_4000, 0x0000_8C00),  # call gate
    0x38: (0x0008_4000, 0x0000_8E00),  # interrupt gate
    0x40: (0x0000_FFFF, 0x00CF_9900),  # code that is not readable
    0x48: (0x0000_FFFF, 0x00CF_9100),  # data that is not writable
}
"""By selector: the two words (Intel SDM volume 3, 3.4.5)."""
RIGHTS_READ_BY_LAR = 0x00F0_FF00
"""SDM volume 2, LAR: bits 16…19 are undefined."""


def after(code: str, **state: int) -> tuple[dict[str, int], Vm]:
    """One instruction in protected mode at level 0, flat."""
    vm = Vm()
    vm.add_memory(0, 0x10000)
    for selector, words in DESCRIPTORS.items():
        vm.write(GDT + selector, struct.pack("<II", *words))
    vm.write(CODE, bytes.fromhex(code))
    cpu = Cpu(vm, sse2=True)
    told = {"cr0": 0x11, "cr4": 0x600, "gdtr.base": GDT, "gdtr.limit": 0x4F, "cpl": 0, "eip": CODE, "esp": STACK}
    for name in ("cs", "ss", "ds", "es", "fs", "gs"):
        rights = 0x00C0_9B00 if name == "cs" else 0x00C0_9300
        told |= {name: 0x08 if name == "cs" else 0x10, f"{name}.base": 0}
        told |= {f"{name}.limit": 0xFFFF_FFFF, f"{name}.rights": rights}
    cpu.set_state(told | state)
    assert isinstance(cpu.run(1), Budget), code
    return cpu.state(), vm


def check_sldt() -> None:
    assert after("0f00c0", ldtr=0x20)[0]["eax"] & 0xFFFF == 0x20  # sldt eax
    _, vm = after("0f0003", ldtr=0x20, ebx=DATA)
    assert vm.read(DATA, 4) == b"\x20\0\0\0"


def check_str() -> None:
    assert after("0f00c8", tr=0x28)[0]["eax"] & 0xFFFF == 0x28  # str eax
    vm = after("0f000b", tr=0x28, ebx=DATA)[1]
    assert vm.read(DATA, 4) == b"\x28\0\0\0"


def check_verr() -> None:
    can = {selector: after("0f00e0", eax=selector)[0]["eflags"] & ZF != 0 for selector in (*DESCRIPTORS, 0x50, 0)}
    assert [selector for selector, yes in can.items() if yes] == [0x08, 0x10, 0x18, 0x48]


def check_verw() -> None:
    can = {selector: after("0f00e8", eax=selector)[0]["eflags"] & ZF != 0 for selector in (*DESCRIPTORS, 0x50, 0)}
    assert [selector for selector, yes in can.items() if yes] == [0x10, 0x18]


def check_lar() -> None:
    for selector, (_, high) in DESCRIPTORS.items():
        state = after("0f02c1", eax=0x1234_5678, ecx=selector)[0]  # lar eax, cx
        if selector == 0x38:  # gates of interrupts are not for LAR
            assert (state["eax"], state["eflags"] & ZF) == (0x1234_5678, 0)
        else:
            assert (state["eax"] & RIGHTS_READ_BY_LAR, state["eflags"] & ZF) == (high & RIGHTS_READ_BY_LAR, ZF)
    assert after("0f02c1", ecx=0x50)[0]["eflags"] & ZF == 0  # beyond the table
    assert after("0f02c1", ecx=0x0B)[0]["eflags"] & ZF == 0  # RPL 3 may not see level 0


def check_lsl() -> None:
    limits = {0x08: 0xFFFF_FFFF, 0x10: 0xFFFF_FFFF, 0x18: 0x1234, 0x20: 0x67, 0x28: 0x67}
    for selector in DESCRIPTORS:
        state = after("0f03c1", eax=0x1234_5678, ecx=selector)[0]  # lsl eax, cx
        if selector in (0x30, 0x38):  # gates have none
            assert (state["eax"], state["eflags"] & ZF) == (0x1234_5678, 0)
        else:
            assert (state["eax"], state["eflags"] & ZF) == (limits.get(selector, 0xFFFF_FFFF), ZF)


def check_sgdt() -> None:
    vm = after("0f0103", ebx=DATA)[1]
    assert vm.read(DATA, 8) == struct.pack("<HI2x", 0x4F, GDT)


def check_sidt() -> None:
    vm = after("0f010b", ebx=DATA, **{"idtr.base": 0x1234_5678, "idtr.limit": 0x7FF})[1]
    assert vm.read(DATA, 8) == struct.pack("<HI2x", 0x7FF, 0x1234_5678)


def check_smsw() -> None:
    state, _ = after("660f01e0", eax=0xAAAA_5555, cr0=0x3B)  # smsw ax
    assert state["eax"] == 0xAAAA_0000 | state["cr0"] & 0xFFFF
    assert state["eax"] & 0xB == 0xB
    _, vm = after("0f0123", cr0=0x3B, ebx=DATA)
    assert vm.read(DATA, 4) == struct.pack("<HH", state["cr0"] & 0xFFFF, 0)


def check_rdtsc() -> None:
    state, _ = after("0f31", tsc=0x12_3456_7890, eax=1, edx=1)
    assert 0 <= (state["edx"] << 32 | state["eax"]) - 0x12_3456_7890 <= 1


def check_cpuid() -> None:
    state, _ = after("0fa2", eax=0)
    assert struct.pack("<3I", state["ebx"], state["edx"], state["ecx"]) == b"GenuineIntel"
    state, _ = after("0fa2", eax=1)
    assert state["eax"] >> 8 & 0xF == 6  # a Pentium III's family
    assert state["edx"] & 1 << 26  # SSE2, which was asked for


def check_int1() -> None:
    vm = Vm()
    vm.add_memory(0, 0x10000)
    vm.write(4, struct.pack("<HH", HANDLER, 0))
    vm.write(CODE, b"\xf1")
    cpu = Cpu(vm)
    cpu.set_state({"cs": 0, "ss": 0, "eip": CODE, "esp": STACK, "eflags": 0x202})
    assert isinstance(cpu.run(1), Budget)
    assert (cpu.state()["eip"], cpu.state()["cs"]) == (HANDLER, 0)
    assert vm.read(STACK - 6, 6) == struct.pack("<3H", CODE + 1, 0, 0x202)


def check_vmcall() -> None:
    """docs/engine.md: an exit if the option is on, or else undefined (vector 6)."""
    for hypercalls in (False, True):
        vm = Vm()
        vm.add_memory(0, 0x10000)
        vm.write(CODE, b"\x0f\x01\xc1")
        cpu = Cpu(vm, hypercalls=hypercalls)
        cpu.intercept([6])
        cpu.set_state({"cs": 0, "eip": CODE, "eax": 77})
        match cpu.run(1):
            case Hypercall(number=77):
                assert hypercalls
                assert cpu.state()["eip"] == CODE + 3
            case ExceptionTaken(vector=6):
                assert not hypercalls
                assert cpu.state()["eip"] == CODE
            case end:
                pytest.fail(str(end))


def check_approximation(code: str, exact: Callable[[float], float], lanes: int) -> None:
    """SDM volume 2, RCPPS, RSQRTPS: the relative error is at most 1.5 × 2⁻¹²; other lanes stay."""
    chance = random.Random(code)
    for _ in range(50):
        values = struct.unpack("<4f", struct.pack("<4f", *(chance.uniform(1e-6, 1e6) for _ in range(4))))
        state, _ = after(code, xmm1=int.from_bytes(struct.pack("<4f", *values), "little"), xmm0=(1 << 128) - 1)
        told = struct.unpack("<4f", state["xmm0"].to_bytes(16, "little"))
        for value, found in zip(values[:lanes], told, strict=False):
            assert abs(found / exact(value) - 1) <= 1.5 * 2**-12, value
        assert state["xmm0"] >> 32 * lanes == (1 << 128) - 1 >> 32 * lanes


MANUAL: dict[str, Callable[[], None]] = {
    "sldt": check_sldt,
    "str": check_str,
    "verr": check_verr,
    "verw": check_verw,
    "lar": check_lar,
    "lsl": check_lsl,
    "sgdt": check_sgdt,
    "sidt": check_sidt,
    "smsw": check_smsw,
    "rdtsc": check_rdtsc,
    "cpuid": check_cpuid,
    "int1": check_int1,
    "vmcall": check_vmcall,
    "rcpps": lambda: check_approximation("0f53c1", lambda x: 1 / x, 4),
    "rcpss": lambda: check_approximation("f30f53c1", lambda x: 1 / x, 1),
    "rsqrtps": lambda: check_approximation("0f52c1", lambda x: x**-0.5, 4),
    "rsqrtss": lambda: check_approximation("f30f52c1", lambda x: x**-0.5, 1),
}
"""Mnemonic → its test, by Intel SDM volume 2."""


@pytest.mark.parametrize("mnemonic", sorted(MANUAL))
def test_what_the_manual_says(mnemonic: str) -> None:
    MANUAL[mnemonic]()


def test_every_row_has_a_test() -> None:
    rest: list[Form] = []
    for form in forms():
        mnemonic = form.mnemonic
        if form in host.FORMS or form in unicorn.FORMS or mnemonic in REAL_MODE | set(MANUAL):
            continue
        file = IN_THE_CRATE.get(mnemonic)
        if file is None or not re.search(rf"\b{mnemonic}\b", (NATIVE / file).read_text(), re.IGNORECASE):
            rest.append(form)
    assert not rest, f"without a test: {', '.join(form.name for form in rest)}"


def test_what_is_named_is_in_the_table() -> None:
    assert {form.mnemonic for form in forms()} >= REAL_MODE | set(IN_THE_CRATE) | set(MANUAL)
