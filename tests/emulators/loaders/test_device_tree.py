"""Device trees: values, paths, and the flattened form as dtc reads it."""

import struct
import subprocess

import pytest

from emulators.loaders.device_tree import LARGEST_OCTETS, MAGIC, Node, flatten
from tests.tools import NeedTool


def sample() -> Node:
    root = Node("")
    root["#address-cells"] = 1
    root["compatible"] = ("first", "second")
    root["empty"] = True
    cpus = root.add("cpus", {"#size-cells": 0})
    cpus.add("cpu@0", {"reg": (0, 0xFFFFFFFF), "blob": b"\x01\x02\x03"})
    root.add("chosen", {"bootargs": 'console=ttyPZ0 "quoted"'})
    return root


def test_paths() -> None:
    root = sample()
    assert [path for path, _ in root.walk()] == ["/", "/cpus", "/cpus/cpu@0", "/chosen"]
    found = root.find("/cpus/cpu")
    assert found is root.find("/cpus/cpu@0")
    assert found is not None
    assert found.properties["reg"] == b"\0\0\0\0\xff\xff\xff\xff"
    assert root.find("/cpus/none") is None
    assert root.find("/") is root


def test_the_header_says_where_everything_is() -> None:
    flat = flatten(sample(), reserved=[(0x1000, 0x2000)])
    magic, total, at_structure, at_strings, at_reserved, version, oldest, _, _, structure_octets = struct.unpack_from(
        ">10I", flat
    )
    assert (magic, total, version, oldest) == (MAGIC, len(flat), 17, 16)
    assert struct.unpack_from(">4Q", flat, at_reserved) == (0x1000, 0x2000, 0, 0)
    assert at_structure % 4 == 0
    assert at_structure + structure_octets == at_strings
    assert flat[at_strings:].startswith(b"#address-cells\0compatible\0")


@pytest.mark.interop
def test_dtc_reads_the_same_tree(need_tool: NeedTool) -> None:
    command = [need_tool("dtc"), "-q", "-I", "dtb", "-O", "dts"]
    read = subprocess.run(command, input=flatten(sample()), capture_output=True, check=True)
    text = read.stdout.decode()
    for expected in (
        r'compatible = "first\0second";',
        "empty;",
        "cpu@0 {",
        "reg = <0x00 0xffffffff>;",
        "blob = [01 02 03];",
        r'bootargs = "console=ttyPZ0 \"quoted\"";',
    ):
        assert expected in text


def test_a_tree_is_bounded() -> None:
    root = Node("")
    root["much"] = bytes(LARGEST_OCTETS)
    with pytest.raises(ValueError, match="octets"):
        flatten(root)
