"""A saved guest: its machine, and what it wrote to disks that keep nothing. One file, checked on the way in.

Layout, msgpack: ``{"format": "vde-guest", "version": 1, "machine": octets of emulators.snapshot, "overlays": [{block
number: 4096 octets} or nil, one for each disk]}``.

Disks that are written through are not part of it: they must be as they were when it was saved.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack

from emulators.guest.disk import BLOCK_OCTETS, MOST_OVERLAY_OCTETS, Overlay
from emulators.machine import Machine
from emulators.outside import DiskEnd
from emulators.snapshot import LARGEST_OCTETS, SnapshotError, take
from vde.errors import ConfigError

FORMAT = "vde-guest"
VERSION = 1


def save(path: Path, machine: Machine, disks: Sequence[DiskEnd]) -> int:
    """Write a file, whole or not at all; its size.

    Raises:
        ConfigError: it cannot be written.
    """
    overlays = [
        [[number, bytes(block)] for number, block in sorted(disk.blocks.items())] if isinstance(disk, Overlay) else None
        for disk in disks
    ]
    whole = {"format": FORMAT, "version": VERSION, "machine": machine.snapshot(), "overlays": overlays}
    octets: bytes = msgpack.packb(whole, use_bin_type=True)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise ConfigError(f"snapshot {path}: {error.strerror}") from None
    return len(octets)


def load(path: Path, machine: Machine, disks: Sequence[DiskEnd]) -> None:
    """Make `machine` and the overlays what was saved.

    Raises:
        SnapshotError: the file cannot be read, or is not of this machine.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST_OCTETS + 1)
    except OSError as error:
        raise SnapshotError(f"snapshot {path}: {error.strerror}") from None
    try:
        _load(octets, machine, disks)
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from None


def _load(octets: bytes, machine: Machine, disks: Sequence[DiskEnd]) -> None:
    try:
        whole = msgpack.unpackb(octets, raw=False)
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise SnapshotError(f"snapshot: not readable ({error})") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT or whole.get("version") != VERSION:
        raise SnapshotError(f"snapshot: not one of a guest (expected format {FORMAT!r}, version {VERSION})")
    overlays = take(whole, "overlays", list)
    kinds = [isinstance(disk, Overlay) for disk in disks]
    if [overlay is not None for overlay in overlays] != kinds:
        raise SnapshotError("snapshot: of a guest with other disks; give the options that it had")
    machine.restore(take(whole, "machine", bytes))
    for disk, saved in zip(disks, overlays, strict=True):
        if isinstance(disk, Overlay):
            disk.blocks = _blocks(saved, disk)


def _blocks(saved: Any, disk: Overlay) -> dict[int, bytearray]:
    blocks = {}
    last = (disk.size_octets - 1) // BLOCK_OCTETS
    if not isinstance(saved, list) or len(saved) * BLOCK_OCTETS > MOST_OVERLAY_OCTETS:
        raise SnapshotError("snapshot: an overlay that is none")
    for entry in saved:
        match entry:
            case [int(number), bytes(block)] if 0 <= number <= last:
                if len(block) != min(BLOCK_OCTETS, disk.size_octets - number * BLOCK_OCTETS):
                    raise SnapshotError(f"snapshot: overlay: block {number} has {len(block)} octets")
                blocks[number] = bytearray(block)
            case _:
                raise SnapshotError("snapshot: overlay: a block that the disk does not have")
    return blocks
