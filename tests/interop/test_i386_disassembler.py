"""The i386 disassembler beside GNU objdump, over the text of Debian's 686 kernel."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.loaders.bzimage import inflate, read_header
from tests.oracles.i386.objdump import compare, sections
from tests.tools import NeedTool
from vde.image.store import pull

pytestmark = [pytest.mark.interop, pytest.mark.slow]

KERNEL_OCTETS = 128 << 20
OCTETS = int(os.environ.get("I386_TEXT_OCTETS", str(64 << 10)))
"""Of each section; `make test-oracles` looks at all. Chosen: some seconds."""


def test_the_same_text_as_objdump_over_debians_kernel(
    tmp_path: Path, need_tool: NeedTool, record_property: Callable[[str, object], None]
) -> None:
    need_tool("objdump")
    packed = pull("debian-i386").kernel.read_bytes()
    at, octets = read_header(packed, "vmlinuz").payload
    kernel = inflate(packed[at : at + octets], KERNEL_OCTETS)
    assert isinstance(kernel, bytes)
    (tmp_path / "vmlinux").write_bytes(kernel)
    instructions, known, wrong = 0, Counter[str](), []
    for address, code in sections(tmp_path / "vmlinux"):
        same, reasons, others = compare(code[:OCTETS], address, tmp_path)
        instructions += same
        known += reasons
        wrong += others
    record_property("same", f"{instructions:,} instructions, known differences: {dict(known)}")
    assert wrong[:40] == []
    assert instructions > 20_000
    assert known.total() < instructions / 100
