"""A run of Debian's kernel on a PC whose every input is fixed; as a program: goes on from a snapshot.

python -m tests.interop.pc_run SNAPSHOT TICK        prints the state hash at TICK, and what the guest wrote
"""

import random
import sys
from pathlib import Path

from emulators.boards import pc
from emulators.machine import Done, Idle, Machine
from emulators.outside import Bench
from vde.image import store

IMAGE = "debian-i386"
INPUTS = {620_000_000: b"cat /proc/uptime; echo $((6*7))\r", 660_000_000: b"ls -la /proc\r"}
"""What is typed, at which ticks."""
END = 700_000_000


def make() -> tuple[Machine, Bench]:
    image = store.open_image(IMAGE)
    outside = Bench()
    params = pc.Params(
        kernel=image.kernel,
        initrd=image.initrd,
        append=image.command_line(""),
        memory=96 << 20,
        rng=False,
    )
    return pc.build(params, outside), outside


def run_to(machine: Machine, outside: Bench, tick: int, chance: random.Random | None = None) -> None:
    """In one piece, or in pieces that chance cuts; inputs come at their ticks."""
    while machine.cpu.ticks < tick:
        now = machine.cpu.ticks
        if now in INPUTS:
            type_on(outside, INPUTS[now])
        stop = min([tick, *(at for at in INPUTS if at > now)])
        ticks = stop - now if chance is None else min(stop - now, chance.randint(1, 20_000_000))
        assert isinstance(machine.run_for(ticks), Done | Idle)


def type_on(outside: Bench, octets: bytes) -> None:
    receive = outside.consoles["serial0"].on_input
    assert receive is not None
    receive(octets)


def main() -> None:
    path, tick = sys.argv[1:]
    machine, outside = make()
    machine.restore(Path(path).read_bytes())
    run_to(machine, outside, int(tick))
    sys.stdout.write(f"{machine.state_hash()}\n{bytes(outside.written['serial0']).hex()}\n")


if __name__ == "__main__":
    main()
