"""DingusPPC's table of integer instructions (GPL, so not here): `PPC_VECTORS` is the directory with `ppcinttests.csv`.

A row: mnemonic, opcode, then rD, rA, rB, XER, CR. r3 = rA, r4 = rB, XER and CR are 0 before; one instruction follows.
The table is `cpu/ppc/test/ppcinttests.csv` of https://github.com/dingusdev/dingusppc.
"""

import os
from pathlib import Path

import pytest

from emulators.cpus.ppc import Cpu, Vm

CODE = 0x1000
COMPARISONS = {"CMP", "CMPI", "CMPL", "CMPLI"}


def test_every_row_of_dingusppcs_table() -> None:
    directory = os.environ.get("PPC_VECTORS")
    if directory is None:
        pytest.skip("PPC_VECTORS does not name DingusPPC's cpu/ppc/test")
    vm = Vm()
    vm.add_memory(0, 0x2000)
    cpu = Cpu(vm)
    rows = 0
    for line in (Path(directory) / "ppcinttests.csv").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        mnemonic, opcode, *fields = line.split(",")
        values = {name: int(value, 16) for name, _, value in (field.partition("=") for field in fields if field)}
        vm.write(CODE, int(opcode, 16).to_bytes(4, "big"))
        cpu.set_state(
            {"pc": CODE, "msr": 0, "r3": values.get("rA", 0), "r4": values.get("rB", 0), "xer": 0, "cr": 0},
        )
        cpu.run(1)
        state = cpu.state()
        assert (state["pc"], state["xer"], state["cr"]) == (CODE + 4, values["XER"], values["CR"]), line
        if "rD" in values and mnemonic not in COMPARISONS:
            assert state["r3"] == values["rD"], line
        rows += 1
    assert rows > 5000
