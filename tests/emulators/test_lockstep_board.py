"""Machines in lock-step: no difference where there is none, and a planted one is found at its instruction."""

from pathlib import Path

import pytest

from emulators.boards import pc
from emulators.exits import Exit
from emulators.machine import Machine, Processor
from emulators.outside import Bench
from tests.oracles.lockstep_board import OneAtATime, first_difference, main

FIRMWARE_OCTETS = 0x10000
RESET = 0xFFF0
PROGRAM = bytes.fromhex("fc 31c0 8ed8 8ec0 43 891e0005 be0005 bf0006 b91000 f3a4 e440 01c2 ebec")
"""cld; xor ax, ax; mov ds, ax; mov es, ax; again: inc bx; mov [500h], bx; copy 16 octets to 600h; in al, 40h (the
8254); add dx, ax; jmp again"""
TICKS = 5000
WRONG_AT = 3456


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    image = bytearray(b"\xf4" * FIRMWARE_OCTETS)
    image[: len(PROGRAM)] = PROGRAM
    image[RESET : RESET + 5] = bytes.fromhex("ea000000f0")  # jmp f000:0000
    path = tmp_path / "firmware"
    path.write_bytes(image)
    return path


def machine(firmware: Path) -> Machine:
    return pc.build(pc.Params(firmware=firmware, memory=4 << 20, rng=False), Bench())


class Wrong(OneAtATime):
    """Instruction WRONG_AT sets a bit of EBP that it should not."""

    def run(self, budget_insns: int, /) -> Exit:
        until = WRONG_AT - self.icount
        if not 0 < until <= budget_insns:
            return super().run(budget_insns)
        end = super().run(until)
        if self.icount == WRONG_AT:
            self.set_state({"ebp": self.state()["ebp"] ^ 0x40})
        return end


def test_one_at_a_time_is_the_same(firmware: Path) -> None:
    told: list[int] = []
    assert first_difference(lambda: machine(firmware), TICKS, leg=1000, progress=told.append) is None
    assert told == [1000, 2000, 3000, 4000, 5000]


@pytest.mark.parametrize("start", [0, 1500])
def test_a_wrong_instruction_is_found(firmware: Path, start: int) -> None:
    def step_by(cpu: Processor) -> Processor:
        return Wrong(cpu)

    found = first_difference(lambda: machine(firmware), TICKS - start, start=start, leg=1000, step_by=step_by)
    assert found is not None
    assert (found.first, found.last) == (WRONG_AT - 1, WRONG_AT)
    assert [(name, one ^ other) for name, one, other in found.registers] == [("ebp", 0x40)]
    assert (found.memory, found.devices) == (None, ())
    assert PROGRAM.find(found.code[:2]) >= 0
    assert "ebp: " in found.text()


def test_the_command(firmware: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pc", f"firmware={firmware}", "--ticks", "2000", "memory=4M", "rng=off", "--leg", "1000"]) == 0
    assert capsys.readouterr().out.splitlines() == ["equal at tick 1000", "equal at tick 2000", "no difference"]
    assert main(["pc", "memory=4X"]) == 2
