"""Quantities of wires: a number and its unit, both ways. A bare number is refused, because tools disagree about it.

| quantity  | units                                                | becomes              |
|-----------|------------------------------------------------------|----------------------|
| duration  | ns us ms s m h                                       | integer nanoseconds  |
| rate      | bit kbit Mbit Gbit Tbit, kibit Mibit Gibit; also …/s | integer bits/s       |
| size      | B, K KiB M MiB G GiB (times 1024)                    | octets               |
| share     | %                                                    | 0.0 … 1.0            |
| chance    | none: `1e-6` (bit error rates)                       | 0.0 … 0.5            |
| count     | none                                                 | integer              |
"""

import re
from decimal import Decimal

from vde.errors import ConfigError

DURATIONS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
RATES = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12}
RATES |= {"kibit": 1 << 10, "Mibit": 1 << 20, "Gibit": 1 << 30}
SIZES = {"B": 1, "K": 1 << 10, "KiB": 1 << 10, "M": 1 << 20, "MiB": 1 << 20, "G": 1 << 30, "GiB": 1 << 30}
LONGEST_NS = 366 * 24 * 3600 * 10**9  # chosen: a year, for links into deep space and hostile numbers
FASTEST_BIT_S = 10**15  # chosen
LARGEST_OCTETS = 1 << 40  # chosen
LARGEST_COUNT = 1 << 31  # chosen
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,12})?) ?([A-Za-z]*)")
_CHANCE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,18})?([eE]-?[0-9]{1,3})?")
_SHARE_DIGITS = 15


def parse_duration_ns(text: str) -> int:
    """`40ms` → nanoseconds, 0 to a year."""
    return _parse(text, DURATIONS, "a duration with its unit, such as 40ms or 1.5s,", "ms", LONGEST_NS)


def parse_rate_bit_s(text: str) -> int:
    """`1Mbit` or `1Mbit/s` → bits a second, at least 1."""
    expected = "a rate with its unit, such as 64kbit or 1.5Mbit,"
    value = _parse(text.removesuffix("/s"), RATES, expected, "kbit", FASTEST_BIT_S)
    if value < 1:
        raise ConfigError(f"{text!r}: at least 1bit was expected; a wire that passes nothing is down")
    return value


def parse_octets(text: str) -> int:
    """`64KiB` → octets."""
    return _parse(text, SIZES, "a size with its unit, such as 1500B or 64KiB,", "B", LARGEST_OCTETS)


def parse_share(text: str) -> float:
    """`1%` → 0.01; 0% to 100%."""
    number = text.removesuffix("%").rstrip()
    if number == text or not _CHANCE.fullmatch(number) or not 0 <= float(number) <= 100:
        hint = f"; write {text}% if that is what is meant" if _CHANCE.fullmatch(text) else ""
        raise ConfigError(f"{_shown(text)}: a share of 0% to 100%, with its %, was expected{hint}")
    return float(Decimal(number) / 100)


def parse_chance(text: str) -> float:
    """`1e-6`: of one bit; 0 to 0.5, which is noise alone."""
    if not _CHANCE.fullmatch(text) or not 0 <= float(text) <= 0.5:
        raise ConfigError(f"{_shown(text)}: a bit error rate of 0 to 0.5, such as 1e-6, was expected")
    return float(text)


def parse_count(text: str, least: int = 0) -> int:
    """`5`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or not least <= int(text) <= LARGEST_COUNT:
        raise ConfigError(f"{_shown(text)}: a whole number from {least} was expected")
    return int(text)


def format_duration(duration_ns: int) -> str:
    """Nanoseconds as the parser takes them."""
    return _format(duration_ns, ("h", "m", "s", "ms", "us", "ns"), DURATIONS)


def format_rate(rate_bit_s: int) -> str:
    """Bits a second as the parser takes them."""
    return _format(rate_bit_s, ("Tbit", "Gbit", "Mbit", "kbit", "bit"), RATES)


def format_octets(octets: int) -> str:
    """Octets as the parser takes them."""
    return _format(octets, ("GiB", "MiB", "KiB", "B"), SIZES)


def format_share(share: float) -> str:
    """0.01 → `1%`; parsing it gives the same number again."""
    exact = Decimal(repr(share)) * 100
    return f"{exact.normalize():f}%" if exact else "0%"


def format_chance(chance: float) -> str:
    """As the parser takes it."""
    return repr(chance)


def _parse(text: str, units: dict[str, int], expected: str, usual: str, most: int) -> int:
    found = _QUANTITY.fullmatch(text)
    if found and found[2] in units:
        value = int(Decimal(found[1]) * units[found[2]])
        if value <= most:
            return value
        raise ConfigError(f"{_shown(text)} is too much: {_format(most, tuple(units), units)} at most was expected")
    hint = ""
    if found and not found[2]:
        hint = f"; write {text}{usual} if that is what is meant"
    elif found and (other := next((unit for unit in units if unit.lower() == found[2].lower()), None)):
        hint = f"; write {found[1]}{other}"
    raise ConfigError(f"{_shown(text)}: {expected} was expected{hint}")


def _format(value: int, order: tuple[str, ...], units: dict[str, int]) -> str:
    best = max((unit for unit in order if value % units[unit] == 0), key=lambda unit: units[unit], default=order[-1])
    return f"{value // units[best]}{best}" if value else f"0{min(order, key=lambda unit: units[unit])}"


def _shown(text: str) -> str:
    return ascii(text[:64] + "…" if len(text) > 64 else text) if not text.isprintable() else repr(text[:64])
