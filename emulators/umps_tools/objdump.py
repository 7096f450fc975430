"""Show what is in uMPS3's ROM, core and a.out files, as umps3-objdump(1) does.

Specification: umps3-objdump(1); texts and behaviour measured from Debian's umps3 3.0.5.

Limits: a listing ends at the file's end, whatever sizes the file's header has.
"""

import os
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from emulators.loaders.umps import AOUT, CORE, CORE_PADDING_WORDS, ROM, WORD_OCTETS
from emulators.umps_tools import listing
from emulators.umps_tools.mkdev import SUFFIX

USAGE = """\
{0} syntax : {0} [-h] [-d] [-x] [-b] [-a] <file>.umps

where:
\t-h\tshow file header
\t-d\tdisassemble .text area
\t-b\tfull byte dump
\t-x\tfull word dump
\t-a\tall of the above

"""
HEADER_LABELS = (
    "Program (virtual) starting address",
    ".text (virtual) start address",
    ".text memory size",
    ".text file start offset",
    ".text file size",
    ".data (virtual) start address",
    ".data memory size",
    ".data file start offset",
    ".data file size",
)
HEADER_WORDS = 1 + len(HEADER_LABELS)
CORE_TEXT = (CORE_PADDING_WORDS + 1) * WORD_OCTETS
SKIP_NOPS, SKIP_LINES = 2, 3
"""From that many on, empty instructions and lines are one asterisk."""
WORDS_PER_LINE, OCTETS_PER_LINE = 4, 16


class _Failed(Exception):
    """The text for standard error, or nothing."""


def run(arguments: Sequence[str], program: str) -> int:
    """Do what the arguments say; answers the exit status."""
    if not arguments:
        sys.stderr.write(USAGE.format(program))
        return 0
    *options, name = arguments
    if SUFFIX not in name or any(option not in ("-h", "-d", "-x", "-b", "-a") for option in options):
        sys.stderr.write(f"{program} : Wrong/unknown argument(s)\n{USAGE.format(program)}")
        return 1
    shown = [part for letter, part in PARTS.items() if letter in options or "-a" in options]
    if not shown:
        return 0
    out = sys.stdout
    try:
        contents = _contents(name)
        for part in shown:
            out.write(part(contents, name))
    except _Failed as failed:
        if failed.args:
            sys.stderr.write(f"{program} : {failed}\n")
        return 1
    return 0


def _contents(name: str) -> bytes:
    try:
        octets = Path(name).read_bytes()
    except OSError as error:
        raise _Failed(f"Error opening file {name} : {os.strerror(error.errno or 0)}") from None
    if _kind(octets) not in (AOUT, CORE, ROM) or len(octets) < WORD_OCTETS:
        raise _Failed(f"Error opening file {name} : invalid/corrupted file")
    return octets


def _kind(octets: bytes) -> int:
    return int.from_bytes(octets[:WORD_OCTETS], "little")


def _header(octets: bytes) -> tuple[int, ...] | None:
    text = CORE_TEXT if _kind(octets) == CORE else 0
    words = octets[text : text + HEADER_WORDS * WORD_OCTETS]
    return struct.unpack(f"<{HEADER_WORDS}I", words) if len(words) == HEADER_WORDS * WORD_OCTETS else None


def _show_header(octets: bytes, name: str) -> str:
    kind = _kind(octets)
    if kind == ROM:
        return f"{name} : ROM file type : it has no a.out header\n\n"
    text = f"{name} : {'core' if kind == CORE else 'a.out'} file type\n\n"
    words = _header(octets)
    if words is None:
        sys.stdout.write(text)
        raise _Failed(f"Error opening file {name} : invalid/corrupted file")
    lines = [f"{label:<35}: 0x{word:08X}\n" for label, word in zip(HEADER_LABELS, words[1:], strict=True)]
    return f"{text}{''.join(lines)}\n"


def _show_listing(octets: bytes, name: str) -> str:
    if _kind(octets) == ROM:
        if len(octets) < 2 * WORD_OCTETS:
            raise _Failed
        at, address, size = 2 * WORD_OCTETS, 0, int.from_bytes(octets[4:8], "little") * WORD_OCTETS
    else:
        words = _header(octets)
        if words is None:
            raise _Failed(f"Error reading file {name} : invalid/corrupted file")
        address, size = words[1], words[3]
        start = words[1] - words[2] + words[4] & 0xFFFF_FFFF
        at = (start ^ 1 << 31) - (1 << 31) + (CORE_TEXT if _kind(octets) == CORE else 0)
        if at < 0:
            raise _Failed(f"Error reading file {name} : invalid/corrupted file")
    lines = []
    nops = 0
    size &= 0xFFFF_FFFF
    if size % WORD_OCTETS:
        size = len(octets)  # the original counts down past zero, and goes on to the end
    code = octets[at : at + size]
    for (word,) in struct.iter_unpack("<I", code[: len(code) - len(code) % WORD_OCTETS]):
        nops = 0 if word else nops + 1
        if nops < SKIP_NOPS:
            lines.append(f"0x{address:08X} : {listing.instruction(word)}\n")
        elif nops == SKIP_NOPS:
            lines.append("*\n")
        address = address + WORD_OCTETS & 0xFFFF_FFFF
    return "".join(lines) + "\n"


def _show_words(octets: bytes, name: str) -> str:
    def line(piece: bytes) -> str:
        words = struct.unpack(f"<{len(piece) // WORD_OCTETS}I", piece)
        return "".join(f"0x{word:08X}  " for word in words)

    body = _body(octets)
    return _lines(body[: len(body) - len(body) % WORD_OCTETS], WORDS_PER_LINE * WORD_OCTETS, line)


def _show_octets(octets: bytes, name: str) -> str:
    return _lines(_body(octets), OCTETS_PER_LINE, lambda piece: "".join(f"{octet:02X}  " for octet in piece))


def _body(octets: bytes) -> bytes:
    """Without what uMPS3 does not load."""
    return octets[{AOUT: 0, CORE: WORD_OCTETS, ROM: 2 * WORD_OCTETS}[_kind(octets)] :]


def _lines(body: bytes, width: int, line: Callable[[bytes], str]) -> str:
    lines = []
    empty = 0
    for at in range(0, len(body), width):
        piece = body[at : at + width]
        empty = 0 if any(piece) else empty + 1
        if empty < SKIP_LINES:
            lines.append(f"0x{at:08X} : {line(piece)}\n")
        elif empty == SKIP_LINES:
            lines.append("*\n")
    return "".join(lines) + "\n"


PARTS = {"-h": _show_header, "-d": _show_listing, "-x": _show_words, "-b": _show_octets}
