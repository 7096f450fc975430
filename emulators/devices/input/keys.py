"""The keys of a keyboard with 101 or 102 keys: their names, their scan codes, and what they type in the US layout.

Reference: IBM PS/2 Hardware Interface Technical Reference (1991), "Keyboard (101- and 102-key)", scan code sets 1 and
2, and the controller's table of translation between them.

A *chord* is keys that are held together, written `ctrl-alt-delete`; the minus key's name is `minus`.
"""

from collections.abc import Iterable, Iterator
from typing import Final

EXTENDED: Final = 0xE0
RELEASED_2: Final = 0xF0
RELEASED_1: Final = 0x80

TRANSLATION: Final = bytes.fromhex(
    "ff43413f3d3b3c58644442403e0f2959"
    "65382a701d10025a66712c1f1e11035b"
    "672e2d201205045c68392f211413065d"
    "693130232215075e6a7232241608095f"
    "6b332517180b0a606c34352627190c61"
    "6d7328741a0d626e3a361c1b752b6376"
    "55567778797a0e7b7c4f7d4b477e7f6f"
    "5253504c4d480145574e514a37494654"
    "8081824154858687"
) + bytes(range(0x88, 0x100))
"""What the controller makes of each octet of set 2."""

PLAIN: Final = {
    "escape": 0x01,
    **{digit: 0x02 + index for index, digit in enumerate("1234567890")},
    "minus": 0x0C,
    "equal": 0x0D,
    "backspace": 0x0E,
    "tab": 0x0F,
    **{letter: 0x10 + index for index, letter in enumerate("qwertyuiop")},
    "left_bracket": 0x1A,
    "right_bracket": 0x1B,
    "enter": 0x1C,
    "ctrl": 0x1D,
    **{letter: 0x1E + index for index, letter in enumerate("asdfghjkl")},
    "semicolon": 0x27,
    "apostrophe": 0x28,
    "grave": 0x29,
    "shift": 0x2A,
    "backslash": 0x2B,
    **{letter: 0x2C + index for index, letter in enumerate("zxcvbnm")},
    "comma": 0x33,
    "dot": 0x34,
    "slash": 0x35,
    "right_shift": 0x36,
    "kp_multiply": 0x37,
    "alt": 0x38,
    "space": 0x39,
    "caps_lock": 0x3A,
    **{f"f{number}": 0x3A + number for number in range(1, 11)},
    "num_lock": 0x45,
    "scroll_lock": 0x46,
    **{f"kp_{name}": 0x47 + index for index, name in enumerate(("7", "8", "9", "minus", "4", "5", "6", "plus"))},
    **{f"kp_{name}": 0x4F + index for index, name in enumerate(("1", "2", "3", "0", "dot"))},
    "less": 0x56,
    "f11": 0x57,
    "f12": 0x58,
}
WITH_PREFIX: Final = {
    "kp_enter": 0x1C,
    "right_ctrl": 0x1D,
    "kp_divide": 0x35,
    "altgr": 0x38,
    "home": 0x47,
    "up": 0x48,
    "page_up": 0x49,
    "left": 0x4B,
    "right": 0x4D,
    "end": 0x4F,
    "down": 0x50,
    "page_down": 0x51,
    "insert": 0x52,
    "delete": 0x53,
    "super": 0x5B,
    "right_super": 0x5C,
    "menu": 0x5D,
}
"""Names and codes of set 1; the second ones come behind 0xE0."""

_BACK: Final = {after: before for before, after in reversed(list(enumerate(TRANSLATION[:0x84])))}
LONG: Final = {
    # key: pressed and released in set 1, then in set 2
    "print_screen": tuple(map(bytes.fromhex, ("e02ae037", "e0b7e0aa", "e012e07c", "e0f07ce0f012"))),
    "pause": tuple(map(bytes.fromhex, ("e11d45e19dc5", "", "e11477e1f014f077", ""))),
}
NAMES: Final = frozenset(PLAIN) | frozenset(WITH_PREFIX) | frozenset(LONG)
MODIFIERS: Final = ("ctrl", "shift", "alt", "altgr", "right_ctrl", "right_shift", "super", "right_super")
MOST_KEYS: Final = 6
"""Of one chord. Chosen."""


def scan_codes(name: str, *, down: bool, scan_set: int) -> bytes:
    """What the keyboard sends when a key is pressed or released. Raises KeyError: there is no such key."""
    if name in LONG:
        return LONG[name][(0 if down else 1) + (2 if scan_set == 2 else 0)]
    prefix = b"" if name in PLAIN else bytes((EXTENDED,))
    code = PLAIN[name] if name in PLAIN else WITH_PREFIX[name]
    if scan_set == 1:
        return prefix + bytes((code | (0 if down else RELEASED_1),))
    return prefix + (b"" if down else bytes((RELEASED_2,))) + bytes((_BACK[code],))


def _us() -> dict[str, tuple[str, ...]]:
    typed: dict[str, tuple[str, ...]] = {letter: (letter,) for letter in "abcdefghijklmnopqrstuvwxyz0123456789"}
    typed |= {letter.upper(): ("shift", letter) for letter in "abcdefghijklmnopqrstuvwxyz"}
    typed |= {sign: ("shift", digit) for sign, digit in zip("!@#$%^&*()", "1234567890", strict=True)}
    for name, plain, shifted in (
        ("minus", "-", "_"),
        ("equal", "=", "+"),
        ("left_bracket", "[", "{"),
        ("right_bracket", "]", "}"),
        ("semicolon", ";", ":"),
        ("apostrophe", "'", '"'),
        ("grave", "`", "~"),
        ("backslash", "\\", "|"),
        ("comma", ",", "<"),
        ("dot", ".", ">"),
        ("slash", "/", "?"),
    ):
        typed[plain], typed[shifted] = (name,), ("shift", name)
    return typed | {" ": ("space",), "\n": ("enter",), "\r": ("enter",), "\t": ("tab",), "\b": ("backspace",)}


US: Final = _us()
"""What each character takes."""


def chord(text: str) -> tuple[str, ...]:
    """`ctrl-alt-delete` as keys.

    Raises:
        ValueError: a name that no key has, or too many.
    """
    names = tuple(text.lower().split("-"))
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no key; there are {', '.join(sorted(NAMES))}")
    if len(names) > MOST_KEYS:
        raise ValueError(f"{len(names)} keys at once; at most {MOST_KEYS}")
    return names


def strokes(keys: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """A chord as what happens: keys go down in order, and up in the other."""
    held = tuple(keys)
    yield from ((name, True) for name in held)
    yield from ((name, False) for name in reversed(held))
