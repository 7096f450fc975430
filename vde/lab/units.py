"""Quantities as a topology writes them: a number and its unit. A bare number is refused: tools disagree about it.

| quantity | units                             | becomes             |
|----------|-----------------------------------|---------------------|
| memory   | K M G, KiB MiB GiB (all times 1024) | octets            |
| duration | ns us ms s m h                    | integer nanoseconds |
"""

import re
from decimal import Decimal

from pydantic_core import PydanticCustomError

from vde.lab.diagnostics import Code

QUANTITY = r"[0-9]{1,12}(\.[0-9]{1,9})?"
MEMORY = {"K": 1 << 10, "KiB": 1 << 10, "M": 1 << 20, "MiB": 1 << 20, "G": 1 << 30, "GiB": 1 << 30}
DURATION = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
MEMORY_PATTERN = f"^{QUANTITY} ?({'|'.join(MEMORY)})$"
DURATION_PATTERN = f"^{QUANTITY} ?({'|'.join(DURATION)})$"


def wrong(code: Code, expected: str, hint: str = "") -> PydanticCustomError:
    """The error that a validator raises: what was expected, and perhaps what to write instead."""
    return PydanticCustomError(str(code), "{expected}", {"expected": expected, "hint": hint})


def parse_memory(value: object) -> int:
    """`64M` → octets.

    Raises:
        PydanticCustomError: V015.
    """
    return _parse(value, MEMORY, MEMORY_PATTERN, "an amount of memory with its unit (K, M, G), such as 64M,", "M")


def parse_duration_ns(value: object) -> int:
    """`1.5s` → nanoseconds.

    Raises:
        PydanticCustomError: V015.
    """
    return _parse(
        value, DURATION, DURATION_PATTERN, "a duration with its unit (ns, us, ms, s, m, h), such as 30s,", "s"
    )


def _parse(value: object, units: dict[str, int], pattern: str, expected: str, usual: str) -> int:
    if isinstance(value, str) and (found := re.fullmatch(pattern, value)):
        unit = found[2]
        return int(Decimal(value[: -len(unit)].rstrip()) * units[unit])
    hint = ""
    if (isinstance(value, int | float) and not isinstance(value, bool)) or (
        isinstance(value, str) and re.fullmatch(QUANTITY, value)
    ):
        hint = f"write {value}{usual} if that is what is meant"
    elif isinstance(value, str) and (known := _other_case(value, units)):
        hint = f"write {known}"
    raise wrong(Code.UNIT, f"{expected} was expected", hint)


def _other_case(value: str, units: dict[str, int]) -> str:
    found = re.fullmatch(rf"({QUANTITY}) ?([A-Za-z]+)", value)
    if found:
        for unit in units:
            if unit.lower() in (found[3].lower(), found[3].lower().removesuffix("b")):
                return f"{found[1]}{unit}"
    return ""


def show_memory(octets: int) -> str:
    """Octets as a topology writes them."""
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if octets and octets % factor == 0:
            return f"{octets // factor}{unit}"
    return f"{octets} octets"


def show_duration(duration_ns: int) -> str:
    """Nanoseconds as a topology writes them."""
    for unit in ("h", "m", "s", "ms", "us"):
        if duration_ns and duration_ns % DURATION[unit] == 0:
            return f"{duration_ns // DURATION[unit]}{unit}"
    return f"{duration_ns}ns"
