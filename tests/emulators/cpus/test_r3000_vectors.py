"""Every case of the R3000's single-instruction vectors, on the plain R3000. No case is left out."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from emulators.cpus.mips import Cpu, Vm
from emulators.exits import Budget

VECTORS = Path(__file__).parents[1] / "vectors" / "mips-r3000"
FILES = sorted(VECTORS.glob("*.jsonl.gz"))
CASES = 10_886
PAGE = 4096
CAUSE = 0x8000_007C
"""BD and ExcCode; other bits are of that variant, or not given."""


def cases(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt") as lines:
        return [json.loads(line) for line in lines]


class Pages:
    """A flat space in which pages come into being where a case needs them."""

    def __init__(self) -> None:
        self.vm = Vm()
        self._there: set[int] = set()

    def write(self, address: int, octets: bytes) -> None:
        for page in {address // PAGE, (address + len(octets) - 1) // PAGE} - self._there:
            self.vm.add_memory(page * PAGE, PAGE)
            self._there.add(page)
        self.vm.write(address, octets)


def initial(case: dict[str, Any]) -> dict[str, int]:
    before = case["initial"]
    state = {f"r{number}": value for number, value in enumerate(before["r"])}
    state |= {name: before[name] for name in ("hi", "lo", "epc", "cause", "pc")} | {"status": 0}
    if before["branch"] is not None:
        target, _, taken = before["branch"]
        state |= {"in_delay_slot": 1, "branch_target": target, "branch_taken": taken}
    register, value = before["load"] or (0, 0)
    return state | {"load_register": register, "load_value": value}


def expected(case: dict[str, Any]) -> dict[str, int]:
    before, after = case["initial"], case["final"]
    registers = list(before["r"])
    for number, value in after.get("r", {}).items():
        registers[int(number)] = value
    state = {f"r{number}": value for number, value in enumerate(registers)}
    for name in ("hi", "lo", "epc", "cause", "pc"):
        state[name] = after.get(name, before[name])
    state["cause"] &= CAUSE
    target, in_slot, taken = after["branch"] or (0, 0, 0)
    register, value = after["load"] or (0, 0)
    return state | {
        "in_delay_slot": in_slot,
        "branch_target": target,
        "branch_taken": taken,
        "load_register": register,
        "load_value": value,
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".jsonl.gz"))
def test_vectors(file: Path) -> None:
    pages = Pages()
    cpu = Cpu(pages.vm, model="R3000")
    for case in cases(file):
        for address, size, value in case.get("reads", []):
            pages.write(address, value.to_bytes(size, "little"))
        for address, size, value in case.get("writes", []):  # something else than what is to be there
            pages.write(address, (~value & (1 << 8 * size) - 1).to_bytes(size, "little"))
        pages.write(case["initial"]["pc"], bytes.fromhex(case["op"])[::-1])
        cpu.set_state(initial(case))
        assert cpu.run(1) == Budget(), case["name"]
        state = cpu.state()
        state["cause"] &= CAUSE
        wanted = expected(case)
        assert {name: state[name] for name in wanted} == wanted, case["name"]
        for address, size, value in case.get("writes", []):
            assert pages.vm.read(address, size) == value.to_bytes(size, "little"), case["name"]


def test_all_cases_are_there() -> None:
    assert sum(len(cases(file)) for file in FILES) == CASES
