"""Processors in all modes with hostile code: random octets, and tables around them that mostly can be used.

Without tables the first fault would be a triple one, some instructions from the start. So there are gates for every
exception that lead to more code, tasks, descriptors of all kinds, pages for most addresses; each with some mistakes.
"""

import random
import struct

from emulators.cpus.i386 import MODELS, Cpu, Vm

PAGE = 4096
PAGES = 16
CODE = (0, 1, 2, 7, 8)
GDT, IDT, DIRECTORY, TABLE, POINTERS, DIRECTORIES, TABLES, TASKS, LDT, STACK = 3, 4, 5, 6, 9, 10, 11, 12, 13, 14
"""Pages. STACK and the one behind it are for level 0."""
MODES = (
    *("real", "big real", "protected 16", "protected 32", "user", "virtual 8086", "paging", "paging user"),
    *("extended paging", "extended paging user"),
)
"""The last two with PAE and no-execute rights."""
GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")
COMMON = bytes.fromhex("0f 66 67 f3 f2 f0 ff 8b 89 01 83 80 c3 cd cf 9d 9c a4 ab d9 dd db 6c 6e e8 eb 75 74 8e 07")
OFTEN = bytes(COMMON[n % len(COMMON)] if n < 77 else (n - 77) * 255 // 178 for n in range(256))
"""Three octets of ten are common ones, the others any."""
DIRTY_ACCESSED = 0x60
DOUBLE_FAULT = 8

# Descriptors (Intel SDM volume 3, 3.4.5): their second words without base and limit
CODE_0, DATA_0, CODE_3, DATA_3 = 0x00C0_9B00, 0x00C0_9300, 0x00C0_FB00, 0x00C0_F300
SMALL_CODE, SMALL_DATA, CONFORMING, DOWN = 0x0000_9B00, 0x0000_9300, 0x00C0_9F00, 0x00C0_9700
TASK_32, BUSY_32, TASK_16, LOCAL = 0x8900, 0x8B00, 0x8100, 0x8200
CALL_GATE, TASK_GATE, INTERRUPT_GATE, TRAP_GATE, SMALL_GATE = 0x8C00, 0x8500, 0x8E00, 0x8F00, 0x8600
DPL_3 = 0x6000
SELECTORS = (0x08, 0x10, 0x1B, 0x23, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x58, 0x60, 0x68, 0x70, 0x0C, 0x17)


def code(chance: random.Random, octets: int = PAGE) -> bytes:
    """Octets that are instructions more often than chance has it."""
    return chance.randbytes(octets).translate(OFTEN)


def descriptor(base: int, limit: int, rights: int) -> bytes:
    high = rights | base & 0xFF00_0000 | base >> 16 & 0xFF | limit & 0xF_0000
    return struct.pack("<II", base << 16 & 0xFFFF_0000 | limit & 0xFFFF, high)


def gate(chance: random.Random, selector: int, rights: int) -> bytes:
    offset = chance.choice(CODE) * PAGE + chance.randrange(PAGE)
    return struct.pack("<II", selector << 16 | offset, rights | chance.randrange(3))


def descriptors(chance: random.Random) -> bytes:
    """64 of them: those of SELECTORS first, then any."""
    flat, tasks = 0xF_FFFF, TASKS * PAGE
    table = bytes(8) + descriptor(0, flat, CODE_0) + descriptor(0, flat, DATA_0)
    table += descriptor(0, flat, CODE_3) + descriptor(0, flat, DATA_3)
    table += descriptor(tasks, 0x1FF, TASK_32) + descriptor(tasks + 0x400, 0x1FF, TASK_32)
    table += descriptor(tasks + 0x800, 0x67, TASK_16) + descriptor(LDT * PAGE, 0xFF, LOCAL)
    table += gate(chance, 0x08, CALL_GATE | DPL_3) + struct.pack("<II", 0x30 << 16, TASK_GATE | DPL_3)
    table += descriptor(0, 0xFFFF, SMALL_CODE) + descriptor(0, 0xFFFF, SMALL_DATA) + descriptor(0, flat, CONFORMING)
    table += descriptor(0, 3, DOWN)
    while len(table) < 64 * 8:
        limit = chance.choice((0, 0xFFF, 0xFFFF, flat, chance.getrandbits(20)))
        kind = chance.getrandbits(8) | chance.choice((0x80, 0x80, 0x80, 0)) | chance.getrandbits(2) << 14
        table += descriptor(chance.randrange(PAGES * PAGE), limit, kind << 8)
    return table


def gates(chance: random.Random) -> bytes:
    """256 of them; most are as they should be."""
    kinds = (*(INTERRUPT_GATE, TRAP_GATE) * 5, SMALL_GATE, TASK_GATE, 0x0E00, chance.getrandbits(16))
    table = bytearray()
    for vector in range(256):
        kind = chance.choice(kinds) | chance.choice((0, DPL_3))
        if vector == DOUBLE_FAULT and chance.random() < 0.7:
            kind = TASK_GATE
        selector = 0x28 if kind & 0x1F00 == TASK_GATE & 0x1F00 else chance.choice((8, 8, 8, 8, 0x68, 0x58, 0x1B, 0))
        table += gate(chance, selector, kind)
    return bytes(table)


def task(chance: random.Random, directory: int) -> bytes:
    """A task of 32 bits (SDM volume 3, figure 8-2), with an I/O map of which some bits are set."""
    stacks = [word for level in range(3) for word in (STACK * PAGE + 0x1000 - 0x100 * level, 0x10 | level)]
    start = chance.choice(CODE) * PAGE
    flags = 2 | chance.choice((0, 0, 0, 1 << 17, 1 << 9, 1 << 14))
    registers = [chance.randrange(PAGES * PAGE) for _ in range(4)] + [(STACK + 1) * PAGE + 0x800, 0, 0x1000, 0x2000]
    segments = [0x10, 0x08, 0x10, 0x10, 0x23, 0x10]
    words = [0, *stacks, directory, start, flags, *registers, *segments, chance.choice((0, 0x40)), 104 << 16]
    return struct.pack("<26I", *words) + bytes(chance.choice((0, 0, 255)) for _ in range(0x100))


def pages(chance: random.Random, wide: bool) -> bytes:
    """A table for the memory, again and again; of the first 16 pages most are always there."""
    entries = []
    for page in range(2 * PAGES):
        rights = chance.choice((7, 7, 7, 7, 7, 5, 3, DIRTY_ACCESSED | 7, 0))
        if page < PAGES and (chance.random() < 0.7 or page in (GDT, IDT, TASKS, STACK, STACK + 1)):
            rights = 7
        if wide and chance.random() < 0.1 and page >= PAGES:
            rights |= 1 << chance.choice((63, 40, 62))
        entries.append(page % PAGES * PAGE | rights)
    more = PAGE // (8 if wide else 4) // PAGES - 2
    return packed(entries + entries[PAGES:] * more, wide)


def directory(chance: random.Random, table: int, wide: bool) -> bytes:
    """The first entry can be used always."""
    some = [table * PAGE | chance.choice((7, 7, 7, 5, 3, 0, 0x87)) for _ in range(63)]
    return packed(([table * PAGE | 7, *some] * 16)[: PAGE // (8 if wide else 4)], wide)


def packed(entries: list[int], wide: bool) -> bytes:
    return struct.pack(f"<{len(entries)}{'Q' if wide else 'I'}", *entries)


def memory(chance: random.Random, wide: bool) -> Vm:
    vm = Vm()
    vm.add_memory(0, PAGES * PAGE)
    vm.write(0, code(chance, PAGES * PAGE))
    vm.write(GDT * PAGE, descriptors(chance))
    vm.write(IDT * PAGE, gates(chance))
    vm.write(LDT * PAGE, descriptors(chance)[8:])
    root = DIRECTORY * PAGE
    if wide:
        root = POINTERS * PAGE
        pointers = [DIRECTORIES * PAGE | 1, *(DIRECTORIES * PAGE | chance.choice((1, 1, 1, 0)) for _ in range(3))]
        vm.write(root, packed(pointers, wide=True))
        vm.write(DIRECTORIES * PAGE, directory(chance, TABLES, wide=True))
        vm.write(TABLES * PAGE, pages(chance, wide=True))
    else:
        vm.write(root, directory(chance, TABLE, wide=False))
        vm.write(TABLE * PAGE, pages(chance, wide=False))
    for at in (0, 0x400):
        vm.write(TASKS * PAGE + at, task(chance, root))
    return vm


def state(mode: str, chance: random.Random) -> dict[str, int]:
    """Where one starts; the descriptors' hidden parts fit the mode."""
    registers = {}
    for name in GENERAL:
        near = chance.randrange(PAGES * PAGE)
        registers[name] = chance.choice((near, near, near, chance.choice(SELECTORS), chance.getrandbits(32)))
    flags = 2 | chance.getrandbits(22) & 0x244ED5 & ~(chance.choice((0, 0x100, 0x100, 0x4100)))
    cr0, cr4, level, rights, limit = 0x10, chance.getrandbits(11) & 0x6DF, 0, 0x93, 0xFFFF
    if mode == "big real":
        limit = 0xFFFF_FFFF
    elif mode != "real":
        cr0 |= 1 | chance.choice((0, 2, 4, 8, 0x20, 0x1_0000, 0x4_0000))
    if mode in ("protected 32", "user") or "paging" in mode:
        rights, limit = 0xC0_0093, 0xFFFF_FFFF
    if mode.endswith("user") or mode == "virtual 8086":
        level = 3
    flags = flags | 1 << 17 if mode == "virtual 8086" else flags & ~(1 << 17)
    if "paging" in mode:
        cr0 |= 0x8000_0000
    told: dict[str, int] = {}
    real = mode in ("real", "virtual 8086", "big real")
    for name in SEGMENTS:
        kind = 0x9B if name == "cs" else 0x93
        selector = PAGE // 16 if real else {"cs": (8, 0x1B), "ss": (0x10, 0x23)}.get(name, (0x10, 0x23))[level // 3]
        told |= {name: selector, f"{name}.base": selector * 16 if real else 0}
        told |= {f"{name}.limit": limit, f"{name}.rights": (rights & 0xC0_0000) | (kind | level << 5) << 8}
    told |= {"gdtr.base": GDT * PAGE, "gdtr.limit": 0x1FF, "idtr.base": IDT * PAGE, "idtr.limit": 0x7FF}
    told |= {"tr": 0x30, "tr.base": TASKS * PAGE + 0x400, "tr.limit": 0x1FF, "tr.rights": BUSY_32}
    told |= {"ldtr": 0x40, "ldtr.base": LDT * PAGE, "ldtr.limit": 0xFF, "ldtr.rights": LOCAL}
    wide = mode.startswith("extended")
    told |= {"cr0": cr0, "cr3": (POINTERS if wide else DIRECTORY) * PAGE, "eflags": flags}
    told["cr4"] = cr4 | 0x20 if wide else cr4 & ~0x20 if "paging" in mode else cr4
    if wide:
        told["efer"] = chance.choice((0, 0x800))
    return told | {"eip": 0 if real else chance.choice(CODE) * PAGE} | registers


def machine(mode: str, seed: int) -> tuple[Vm, Cpu]:
    """The same for the same seed."""
    chance = random.Random(seed)
    wide = mode.startswith("extended")
    vm = memory(chance, wide)
    model = "pentium3" if wide else chance.choice(MODELS)
    cpu = Cpu(vm, model, pae=wide, nx=wide, sse2=wide, apic=wide)
    cpu.set_state(state(mode, chance))
    return vm, cpu
