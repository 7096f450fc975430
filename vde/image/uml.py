"""Make the kernel of User-Mode Linux start with the C library that lies beside it, not with the machine's.

Debian's newest UML wants a newer C library than stable releases have. Started through another loader, as in `ld.so
linux.uml`, it does not work, because it reads its own layout; so the program is changed, in place, in two strings:

    PT_INTERP    /lib64/ld-linux-x86-64.so.2  →  ./ld-linux-x86-64.so.2     looked up in the working directory
    DT_RUNPATH   /lib64:/lib                  →  $ORIGIN                    where the program lies

Both new ones are shorter, so nothing moves. It must then be started with its own directory as working directory.

Source: ELF-64 Object File Format 1.5, System V ABI (generic) chapter 5. Sans-I/O. What is not as expected raises
`WireError`; bounds: `_HEADERS_MAX`, `_ENTRIES_MAX`, and every offset is checked against the file.

Not supported: 32 bits, big endian, programs without a run path, libraries other than `LIBRARIES`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vde.errors import WireError

LOADER = "ld-linux-x86-64.so.2"
LIBRARIES = (LOADER, "libc.so.6")

_MAGIC = b"\x7fELF\x02\x01\x01"  # 64 bits, little endian, version 1
_EM_X86_64 = 62
# e_ident 16 · e_type 2 · e_machine 2 · e_version 4 · e_entry 8 · e_phoff 8 · e_shoff 8 · e_flags 4 · e_ehsize 2 ·
# e_phentsize 2 · e_phnum 2 · …
_HEADER = struct.Struct("<16sHHIQQQIHHH")
# p_type 4 · p_flags 4 · p_offset 8 · p_vaddr 8 · p_paddr 8 · p_filesz 8 · p_memsz 8 · p_align 8
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")  # d_tag 8 · d_val 8
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29
_HEADERS_MAX = 64  # chosen: real programs have about 13
_ENTRIES_MAX = 512  # chosen: about 30
_TEXT_OCTETS_MAX = 4096  # PATH_MAX


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    file_octets: int


def relocate(program: bytes) -> bytes:
    """The program, changed as the module's text says.

    Raises:
        WireError: it is no program of the expected shape; says what differs.
    """
    segments = _segments(program)
    changed = bytearray(program)
    interpreter = _one(segments, _PT_INTERP)
    _replace(changed, interpreter.offset, f"./{LOADER}".encode())
    dynamic = dict.fromkeys((_DT_STRTAB, _DT_RUNPATH, _DT_RPATH), -1)
    needed = []
    for tag, value in _entries(program, _one(segments, _PT_DYNAMIC)):
        if tag == _DT_NEEDED:
            needed.append(value)
        elif tag in dynamic:
            dynamic[tag] = value
    if dynamic[_DT_STRTAB] < 0:
        raise WireError("linux.uml: no table of strings")
    strings = _file_offset(segments, dynamic[_DT_STRTAB])
    for offset in needed:
        name = _text(program, strings + offset).decode("ascii", "replace")
        if name not in LIBRARIES:
            raise WireError(f"linux.uml: it needs {name}, which is not known to be in the C library's package")
    run_path = max(dynamic[_DT_RUNPATH], dynamic[_DT_RPATH])
    if run_path < 0:
        raise WireError("linux.uml: it has no run path that could be replaced")
    _replace(changed, strings + run_path, b"$ORIGIN")
    return bytes(changed)


def _segments(program: bytes) -> list[_Segment]:
    if len(program) < _HEADER.size or program[: len(_MAGIC)] != _MAGIC:
        raise WireError("linux.uml: no 64-bit ELF program")
    _, _, machine, _, _, offset, _, _, _, entry_octets, count = _HEADER.unpack_from(program)
    if machine != _EM_X86_64 or entry_octets != _SEGMENT.size or not 0 < count <= _HEADERS_MAX:
        raise WireError(f"linux.uml: machine {machine}, {count} program headers of {entry_octets} octets")
    if offset + count * _SEGMENT.size > len(program):
        raise WireError("linux.uml: its program headers are outside of the file")
    found = []
    for index in range(count):
        kind, _, start, address, _, octets, _, _ = _SEGMENT.unpack_from(program, offset + index * _SEGMENT.size)
        if start + octets > len(program):
            raise WireError("linux.uml: a segment is outside of the file")
        found.append(_Segment(kind, start, address, octets))
    return found


def _one(segments: list[_Segment], kind: int) -> _Segment:
    found = [segment for segment in segments if segment.kind == kind]
    if len(found) != 1:
        raise WireError(f"linux.uml: {len(found)} segments of type {kind}: one was expected (linked statically?)")
    return found[0]


def _entries(program: bytes, dynamic: _Segment) -> Iterator[tuple[int, int]]:
    for index in range(min(dynamic.file_octets // _ENTRY.size, _ENTRIES_MAX)):
        tag, value = _ENTRY.unpack_from(program, dynamic.offset + index * _ENTRY.size)
        if tag == _DT_NULL:
            return
        yield tag, value


def _file_offset(segments: list[_Segment], address: int) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.file_octets:
            return segment.offset + address - segment.address
    raise WireError("linux.uml: an address that is in no segment")


def _text(program: bytes | bytearray, offset: int) -> bytes:
    end = program.find(b"\0", offset, offset + _TEXT_OCTETS_MAX)
    if not 0 <= offset < len(program) or end < 0:
        raise WireError("linux.uml: a text that does not end")
    return bytes(program[offset:end])


def _replace(program: bytearray, offset: int, text: bytes) -> None:
    old = _text(program, offset)
    if len(text) > len(old):
        raise WireError(f"linux.uml: no room for {text!r} in place of {old!r}")
    program[offset : offset + len(old)] = text.ljust(len(old), b"\0")
