"""What a model has not is undefined on it, row by row of the table; what cannot be added to a model is refused."""

import random

import pytest

from emulators.cpus.i386 import MODELS, Cpu, Vm
from emulators.cpus.i386.forms import Form, forms
from emulators.exits import Budget, ExceptionTaken, Exit
from tests.oracles.i386 import cases
from vde.errors import ConfigError

CODE, DATA = 0x4000, 0x5000
UNDEFINED = 6
CPUID = b"\x0f\xa2"
OSFXSR = 0x200
FXSR, SSE2 = 1 << 24, 1 << 26


def started(model: str, code: bytes, **more: int) -> tuple[Cpu, Exit]:
    """Behind one instruction in flat protected mode, with all exceptions intercepted."""
    vm = Vm()
    vm.add_memory(0, 0x10000)
    vm.write(CODE, code)
    cpu = Cpu(vm, model)
    cpu.intercept(range(32))
    state = {"cr0": 0x11, "eip": CODE, "esp": 0x8000, "eflags": 2} | more
    for name in ("cs", "ss", "ds", "es", "fs", "gs"):
        rights = 0x00C0_9B00 if name == "cs" else 0x00C0_9300
        state |= {name: 8, f"{name}.base": 0, f"{name}.limit": 0xFFFF_FFFF, f"{name}.rights": rights}
    cpu.set_state(state)
    return cpu, cpu.run(1)


def features(model: str) -> int:
    """CPUID.1:EDX."""
    cpu, end = started(model, CPUID, eax=1)
    assert isinstance(end, Budget)
    return cpu.state()["edx"]


def instruction(form: Form) -> bytes:
    """One of this row, with its operand at DATA, if it is in memory."""
    reg = form.group if form.group is not None else 1
    octets = (form.prefix or b"") + form.opcode
    if form.modrm is not None:
        octets += bytes((form.modrm,))
    elif form.kind == "Register":
        octets += bytes((0xC0 | reg << 3 | 2,))
    elif form.has_modrm:
        octets += bytes((reg << 3 | 3,))  # [ebx]
    draft = cases.Draft(form, registers=[0] * 8, operand16=False)
    return octets + b"".join(cases.immediate(code, draft, random.Random(1)) for code in form.operands)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("modrm", [0x03, 0x1B, 0x23, 0xC0, 0xEB])
def test_prefetches_and_hints_do_nothing_anywhere(model: str, modrm: int) -> None:
    """SDM volume 2B, table A-6, group 16. With a register it was undefined here."""
    cpu, end = started(model, bytes((0x0F, 0x18, modrm)), ebx=DATA)
    assert isinstance(end, Budget)
    assert cpu.state()["eip"] == CODE + 3


@pytest.mark.parametrize("model", MODELS)
def test_what_a_model_has_not_is_undefined_on_it(model: str) -> None:
    there = features(model)
    later = [form for form in forms() if form.needs & ~there and not form.mnemonic.startswith("prefetch")]
    assert len(later) >= {"486": 304, "pentium": 243, "pentium2": 211, "pentium3": 145}[model]
    defined = []
    for form in later:
        _, end = started(model, instruction(form), ebx=DATA, **({"cr4": OSFXSR} if there & FXSR else {}))
        if not (isinstance(end, ExceptionTaken) and end.vector == UNDEFINED):
            defined.append(f"{form.name}: {end}")
    assert not defined, "\n".join(defined)


@pytest.mark.parametrize(
    ("model", "added", "least"),
    [
        ("486", {"apic": True}, "pentium"),
        ("pentium", {"pae": True}, "pentium2"),
        ("pentium", {"pae": True, "nx": True}, "pentium2"),
        ("pentium2", {"sse2": True}, "pentium3"),
    ],
)
def test_what_cannot_be_added_to_a_model_is_refused(model: str, added: dict[str, bool], least: str) -> None:
    with pytest.raises(ConfigError, match=f"'{model}' with [a-z0-9]+: {least} or a later one was expected"):
        Cpu(Vm(), model, **added)
    assert features(model) & SSE2 == 0
    Cpu(Vm(), least, **added)
