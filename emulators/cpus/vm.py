"""`Vm`: a guest's memory, the same for every instruction set."""

import hashlib

from vde import _native


class Vm(_native.GuestMemory):
    """Guest-physical memory of up to 4 GiB; slots of whole pages of 4 KiB. `docs/engine.md` is the contract.

    `remove_memory(gpa)` takes away what was added at `gpa`; `set_readonly(gpa, size, on)` changes the guest's right to
    write whole pages. `slots()` tells the state of both.

    All raise ValueError for what is outside. Any thread may call; while a processor runs, they wait until it is back.
    """

    PAGE_OCTETS = 4096

    def hash(self) -> bytes:
        """SHA-256 of the slots and their octets."""
        sha = hashlib.sha256()
        for gpa, size, readonly in self.slots():
            sha.update(f"{gpa:#x} {size:#x} {readonly}\n".encode())
            for at in range(gpa, gpa + size, 1 << 20):
                sha.update(self.read(at, min(1 << 20, gpa + size - at)))
        return sha.digest()
