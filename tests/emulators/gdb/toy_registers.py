"""How GDB would see the toy processor; a jump and what follows it count as a branch and its delay slot."""

from collections.abc import Mapping
from typing import Any

NAMES = ("acc", "epc", "pc")


class ToyRegisters:
    description = b"<target/>" * 100

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        pass

    def count(self) -> int:
        return len(NAMES)

    def read(self, state: Mapping[str, Any], number: int) -> bytes:
        return int(state[NAMES[number]]).to_bytes(4, "little")

    def write(self, state: Mapping[str, Any], number: int, octets: bytes) -> Mapping[str, Any]:
        if len(octets) != 4:
            raise ValueError(octets)
        return {NAMES[number]: int.from_bytes(octets, "little")}

    def in_delay_slot(self, state: Mapping[str, Any]) -> bool:
        return bool(state["pc"] % 64 == 4)

    def jump(self, state: Mapping[str, Any], address: int) -> Mapping[str, Any]:
        return {"pc": address}
