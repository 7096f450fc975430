"""TCP between two QEMU guests of one kernel, through four networks in turn: `python -m tests.bench.guests`.

Each guest has one network card on each network: Debian's vde_switch, our vdeswitch as the same `-netdev vde` reaches
it, and our vdeswitch through shared memory, with rings of the usual size and of 1 MiB (`vdeshm://`; that of the last
build, unless VDEPLUGIN_PATH is set). So
nothing is started anew between measurements, and the networks take turns, A B C D D C B A. The guests are Debian's i386
kernel with a busybox and a small program (`guest_flow.c`) that writes and reads 256 KiB at a time. What is timed is a
whole transfer, by the sending guest's clock, until the receiver has all of it.

An emulated processor is some ten times slower than the host's, so what the guests do for a frame hides the network,
unless the card does it: by default it is an e1000, for which QEMU itself cuts TCP into frames (TSO) and computes and
verifies checksums, in C. A virtio card has these offloads only where its peer takes them, and `-netdev vde` does not.
The guests' kernels run without the mitigations of speculation, whose returns and indirect calls cost an emulator most.

Only unix sockets in temporary directories; leaves nothing behind, also on Ctrl-C.
"""

import argparse
import gzip
import os
import re
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from plugs.module import install
from tests.bench import machine
from tests.bench.loadgen import LoadFailed
from tests.bench.switch import OURS
from tests.bench.switches import command_line, running
from vde.errors import VdeError
from vde.image import store
from vde.image.cpio import Archive

BOOT_S = 180.0
TRANSFER_S = 300.0
SOURCE = Path(__file__).with_name("guest_flow.c")
CARDS = ("e1000", "virtio-net-pci")


class Guest:
    """A QEMU whose serial console is its standard input and output."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._transcript = b""

    def wait_for(self, text: bytes, since: int, patience_s: float) -> int:
        """Until the console has shown `text` after offset `since`: the offset behind it."""
        assert self._process.stdout is not None
        deadline = monotonic() + patience_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (place := self._transcript.find(text, since)) < 0:
                if not selector.select(max(deadline - monotonic(), 0)):
                    raise LoadFailed(f"a guest did not say {text!r} in time: {self._transcript[-2000:]!r}")
                octets = os.read(self._process.stdout.fileno(), 1 << 16)
                if not octets:
                    raise LoadFailed(f"QEMU ended: {self._transcript[-2000:]!r}")
                self._transcript += octets
        return place + len(text)

    def begin(self, command: str) -> int:
        """Type a command; the offset that `end` wants."""
        assert self._process.stdin is not None
        since = len(self._transcript)
        self._process.stdin.write(f"echo be''gin; {command}; echo e''nd\n".encode())
        self._process.stdin.flush()
        return self.wait_for(b"begin\r\n", since, TRANSFER_S)

    def said_since(self, since: int) -> bytes:
        """What it has shown after an offset."""
        return self._transcript[since:]

    def end(self, since: int) -> None:
        """Until that command has ended."""
        self.wait_for(b"end\r\n", since, TRANSFER_S)

    def shell(self, command: str) -> None:
        """Both."""
        self.end(self.begin(command))


def build(directory: Path) -> Path:
    """The guests' first root file system, with the program in it."""
    compiler = which("cc")
    if compiler is None:
        raise LoadFailed("the guests' program needs a C compiler: apt install gcc libc6-dev-i386")
    program = directory / "flow"
    command = [compiler, "-m32", "-static", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program)]
    command += ["-idirafter", "/usr/include/x86_64-linux-gnu", str(SOURCE)]  # <asm/…>, as for the host's programs
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailed(f"cannot build {SOURCE.name} (apt install libc6-dev-i386?):\n{done.stderr.strip()}")
    more = Archive()
    more.file("bin/flow", program.read_bytes(), 0o755)
    together = directory / "initrd"
    together.write_bytes(store.pull("debian-i386").initrd.read_bytes() + gzip.compress(more.emit(), 1))
    return together


@contextmanager
def guest(number: int, sockets: Sequence[str], initrd: Path, args: argparse.Namespace) -> Iterator[Guest]:
    """Guest `number` (1 or 2), with a card a network, ready; 10.NETWORK.0.NUMBER are its addresses."""
    image = store.pull("debian-i386")
    program = which("qemu-system-i386")
    if program is None:
        raise LoadFailed("qemu-system-i386 is not installed: apt install qemu-system-x86")
    words = [program, "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "192"]
    words += ["-accel", args.accel]
    words += ["-kernel", str(image.kernel), "-initrd", str(initrd)]
    words += ["-append", f"{image.default_cmdline} mitigations=off hostname=g{number} ip4=10.0.0.{number}/24"]
    for network, socket in enumerate(sockets):
        mac = f"52:54:00:00:{network:02x}:{number:02x}"
        words += [
            "-netdev",
            f"vde,id=n{network},sock={socket}",
            "-device",
            f"{args.card},netdev=n{network},mac={mac}",
        ]
    if setpriv := which("setpriv"):
        words = [setpriv, "--pdeathsig", "KILL", "--", *words]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            machine_ = Guest(process)
            machine_.wait_for(f"vde-guest ready: hostname=g{number}".encode(), 0, BOOT_S)
            for network in range(1, len(sockets)):
                machine_.shell(f"ifconfig eth{network} 10.0.{network}.{number} netmask 255.255.255.0 up")
            yield machine_
        finally:
            process.kill()


def transfer(sender: Guest, receiver: Guest, network: int, mib: int, streams: int) -> float:
    """MiB/s of TCP connections that share `mib`."""
    receiving = receiver.begin(f"flow receive {streams}")
    receiver.wait_for(b"listening\r\n", receiving, TRANSFER_S)
    sending = sender.begin(f"flow 10.0.{network}.2 {streams} {mib}")
    sender.end(sending)
    receiver.end(receiver.wait_for(f"octets {mib << 20}\r\n".encode(), receiving, TRANSFER_S))
    said = re.search(rb"milliseconds ([0-9]+)\.", sender.said_since(sending))
    if said is None:
        raise LoadFailed(f"the sender failed: {sender.said_since(sending)!r}")
    return mib * 1000 / max(1, int(said[1]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.guests", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="rounds over all networks, there and back (5)")
    parser.add_argument("--mib", type=int, default=48, help="size of a transfer (48)")
    parser.add_argument("--streams", type=int, choices=range(1, 17), default=2, metavar="N", help="connections (2)")
    parser.add_argument("--card", choices=CARDS, default="e1000", help="the guests' network cards (e1000)")
    parser.add_argument("--accel", default="tcg", help="QEMU's: kvm where the machine can run a PC's real mode (tcg)")
    parser.add_argument("--no-vdeshm", action="store_true", help="leave shared memory out")
    args = parser.parse_args(arguments)
    machine.end_in_order()
    names = ["vde_switch", "vdeswitch"]
    if not args.no_vdeshm:
        names += ["vdeswitch, vdeshm", "vdeswitch, vdeshm, ring=1M"]
    try:
        with ExitStack() as stack:
            if not args.no_vdeshm and "VDEPLUGIN_PATH" not in os.environ:
                where = stack.enter_context(TemporaryDirectory(prefix="bench-module-"))
                os.environ["VDEPLUGIN_PATH"] = install(Path(where)).variable.partition("=")[2]
            stack.enter_context(machine.awake(True))
            initrd = build(Path(stack.enter_context(TemporaryDirectory(prefix="bench-guests-"))))
            theirs = stack.enter_context(running(command_line("vde_switch")))
            ours = stack.enter_context(running(command_line(OURS)))
            sockets = [theirs.url, ours.url, f"vdeshm://{ours.url}", f"vdeshm://{ours.url}[ring=1M]"][: len(names)]
            one, two = (stack.enter_context(guest(number, sockets, initrd, args)) for number in (1, 2))
            results: list[list[float]] = [[] for _ in names]
            for run in range(args.runs):
                order = [*range(len(names)), *reversed(range(len(names)))]
                speeds: list[list[float]] = [[] for _ in names]
                for network in order:
                    speeds[network].append(transfer(one, two, network, args.mib, args.streams))
                for network, pair in enumerate(speeds):
                    results[network].append(sum(pair) / 2)
                shown = "  ".join(f"{name} {sum(pair) / 2:.1f}" for name, pair in zip(names, speeds, strict=True))
                print(f"run {run + 1}/{args.runs}  {shown} MiB/s", file=sys.stderr, flush=True)
    except (LoadFailed, VdeError) as error:
        print(f"bench-guests: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench-guests: interrupted", file=sys.stderr)
        return 130
    print(report(names, results, args))
    return 0


def report(names: Sequence[str], results: Sequence[Sequence[float]], args: argparse.Namespace) -> str:
    """A Markdown table; ratios are the first network's, run by run."""
    lines = [
        f"{machine.description()}; {len(results[0])} runs of 2 × {args.mib} MiB, {args.streams} connections; "
        f"guests: {args.accel}, {args.card}.",
        "",
        "| network | MiB/s | × vde_switch |",
        "|---|---:|---:|",
    ]
    for name, speeds in zip(names, results, strict=True):
        ratios = [speed / base for speed, base in zip(speeds, results[0], strict=True)]
        lines.append(f"| {name} | {median(speeds):.1f} | {median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
