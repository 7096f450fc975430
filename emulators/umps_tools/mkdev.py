"""Make disks and flash drives for uMPS3, as umps3-mkdev(1) does.

Specification: umps3-mkdev(1); behaviour measured from Debian's umps3 3.0.5.

Theory: the files are the same octets, but empty blocks are holes. Numbers are read as strtoul(3) reads them: decimal,
octal or hexadecimal, with a sign, and taken modulo 2³².
"""

import os
import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from emulators.devices.umps.blocks import BLOCK_OCTETS
from emulators.loaders.umps import CORE, DISK, DISK_HEADER, FLASH, FLASH_HEADER, WORD_OCTETS

SUFFIX = ".umps"
DISK_DEFAULTS = (32, 2, 8, 16666, 100, 80)
DISK_BOUNDS = ((1, 0xFFFF), (1, 0xFF), (1, 0xFF), (360, 10_800), (1, 10_000), (10, 90))
ROTATION = 3
US_PER_MINUTE = 60_000_000
FLASH_DEFAULTS = (512, 1000)
FLASH_BOUNDS = ((1, 0xFFFFFF), (1, 100_000))

PIECE_OCTETS = 1 << 20

USAGE = """\
{0} syntax : {0} {{-d | -f}} [parameters..]

{0} -d <diskfile>.umps [cyl [head [sect [rpm [seekt [datas]]]]]]
where:
\tcyl = no. of cylinders\t\t\t[1..65535]\t(default = 32)
\thead = no. of heads\t\t\t[1..255]\t(default = 2)
\tsect = no. of sectors\t\t\t[1..255]\t(default = 8)
\trpm = disk rotations per min.\t\t[360..10800]\t(default = 3600)
\tseekt = avg. cyl2cyl time (microsecs.)\t[1..10000]\t(default = 100)
\tdatas = sector data occupation %\t[10%..90%]\t(default = 80%)
\t<diskfile> = disk image file name\t\t\t(example = disk0.umps)

{0} -f <flashfile>.umps <file> [blocks [wt]]
where:
\tblocks = no. of blocks\t\t\t[1..0xFFFFFF]\t(default = 512)
\twt = avg. write time (microsecs.)\t[1..100000]\t(default = 1000)
\t<flashfile> = flash dev. image file name\t\t(example = flash0.umps)
\t<file> = file to be written
\tnote: use /dev/null as <file> to create an empty image file

"""


def run(arguments: Sequence[str], program: str) -> int:
    """Do what the arguments say; answers the exit status."""
    if not arguments:
        sys.stderr.write(USAGE.format(program))
        return 0
    if arguments[0] == "-d":
        return _make_disk(arguments, program)
    if arguments[0] == "-f":
        return _make_flash(arguments, program)
    sys.stderr.write(f"{program} : Unknown argument(s)\n{USAGE.format(program)}")
    return 1


_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)?")
_LARGEST = (1 << 64) - 1


def read_number(text: str) -> int | None:
    """A word as strtoul(3) on a 64-bit machine makes it; None: there is something behind it."""
    match = _NUMBER.match(text)
    assert match is not None  # it matches nothing, too
    digits = match[2]
    rest = text[match.end() :] if digits else text
    if rest.strip(" \t\n\v\f\r"):
        return None
    if not digits:
        return 0
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    value = int(digits, base)
    if value > _LARGEST:
        value = _LARGEST
    elif match[1] == "-":
        value = -value
    return value & 0xFFFF_FFFF


def _parameters(
    texts: Sequence[str], defaults: tuple[int, ...], bounds: tuple[tuple[int, int], ...]
) -> list[int] | None:
    values = list(defaults)
    for index, text in enumerate(texts):
        number = read_number(text)
        if number is None or not bounds[index][0] <= number <= bounds[index][1]:
            return None
        values[index] = number
    return values


def _make_disk(arguments: Sequence[str], program: str) -> int:
    values = None
    if 2 <= len(arguments) <= 8 and SUFFIX in arguments[1]:
        values = _parameters(arguments[2:], DISK_DEFAULTS, DISK_BOUNDS)
    if values is None:
        sys.stderr.write(f"{program} : disk image file parameters wrong/missing\n")
        return 1
    if len(arguments) > 2 + ROTATION:
        # single precision, as the original divides
        (quotient,) = struct.unpack("<f", struct.pack("<f", US_PER_MINUTE / values[ROTATION]))
        values[ROTATION] = int(quotient)
    try:
        with Path(arguments[1]).open("wb") as file:
            file.write(struct.pack(DISK_HEADER, DISK, *values))
            file.truncate(struct.calcsize(DISK_HEADER) + values[0] * values[1] * values[2] * BLOCK_OCTETS)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"{program} : error writing disk file image {arguments[1]} : {reason}\n")
        return 1
    return 0


def _make_flash(arguments: Sequence[str], program: str) -> int:
    values = None
    if 3 <= len(arguments) <= 5 and SUFFIX in arguments[1]:
        values = _parameters(arguments[3:], FLASH_DEFAULTS, FLASH_BOUNDS)
    if values is None:
        sys.stderr.write(f"{program} : flash device image file parameters wrong/missing\n")
        return 1
    name, source = arguments[1], arguments[2]
    complaint = f"{program} : error writing flash device file image {name} : "
    try:
        with Path(name).open("wb") as file:
            file.write(struct.pack(FLASH_HEADER, FLASH, *values))
            descriptor = os.open(source, os.O_RDONLY)
            try:
                failure, whole = _fill(file, descriptor, values[0])
            finally:
                os.close(descriptor)
    except OSError as error:
        sys.stderr.write(f"{complaint}{os.strerror(error.errno or 0)}\n")
        return 1
    if not whole:
        sys.stderr.write(f"{complaint}file {source} truncated\n")
    if failure is not None:
        sys.stderr.write(f"{complaint}{os.strerror(failure.errno or 0)}\n")
        return 1
    return 0


def _fill(file: BinaryIO, source: int, blocks: int) -> tuple[OSError | None, bool]:
    """Copy the source into the blocks, without the first word of a core file.

    Returns:
        What went wrong with reading, and whether the source's end was seen; the original does not look for an end
        behind the last block.
    """
    first = file.tell()
    left = blocks * BLOCK_OCTETS
    skipped = False
    try:
        while left and (piece := os.read(source, min(left, PIECE_OCTETS))):
            if not skipped:
                skipped = True
                while len(piece) < WORD_OCTETS and (more := os.read(source, WORD_OCTETS)):
                    piece += more
                if piece[:WORD_OCTETS] == CORE.to_bytes(WORD_OCTETS, "little"):
                    piece = piece[WORD_OCTETS:]
            file.write(piece)
            left -= len(piece)
    except OSError as error:
        file.truncate(first + BLOCK_OCTETS)
        return error, False
    file.flush()
    file.truncate(first + blocks * BLOCK_OCTETS)
    return None, left > 0
