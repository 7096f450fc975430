"""Our wire beside Linux' netem, the same settings on both, one table: `python -m tests.bench.netem`. Manual:
docs/wires.md.

netem is the kernel's of a User-Mode Linux (`vde image pull uml`), so that it does not matter whether the machine's own
kernel has it (`sch_netem`): a box with two network cards, which are two datagram sockets, and a bridge between them;
netem is the root qdisc of the second card. Debian's `tc` and its libraries are put into the guest as they are on this
machine. What is sent, and how it is measured, is the same for both: `tests.bench.wires`.

No root, no namespaces; only a socket pair or two UDP ports of the loopback, and a temporary directory.
"""

import argparse
import gzip
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import gmtime, monotonic, strftime

from tests.bench import machine
from tests.bench.loadgen import LoadFailed
from tests.bench.wires import FRAME_OCTETS, SETTINGS, Run, Setting, by_wire, measure
from vde.errors import ConfigError, VdeError
from vde.host.uml import Card, prepare
from vde.image import cpio, store

BOOT_S = 60.0
READY = b"vde-guest ready:"
DISTRIBUTIONS = ("tc/*.dist", "*/tc/*.dist")  # below /usr/lib
BRIDGE = (
    "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; modprobe bridge; modprobe sch_netem;"
    " brctl addbr br0; brctl addif br0 eth0; brctl addif br0 eth1; ip link set br0 up"
)


class Box:
    """The guest: its console, and the descriptors that are the far ends of its two cards."""

    def __init__(self, process: "subprocess.Popen[bytes]", left: socket.socket, right: socket.socket) -> None:
        self._process = process
        self._said = b""
        self.left = left
        self.right = right

    def wait_for(self, pattern: bytes) -> bytes:
        """What the console shows, up to and with `pattern`."""
        assert self._process.stdout is not None
        deadline = monotonic() + BOOT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (found := re.search(pattern, self._said)) is None:
                more = b""
                if selector.select(max(0.0, deadline - monotonic())):
                    more = os.read(self._process.stdout.fileno(), 1 << 16)
                if not more:
                    raise LoadFailed(f"the netem box did not say {pattern!r}: {self._said[-1500:]!r}")
                self._said += more
        said, self._said = self._said[: found.end()], self._said[found.end() :]
        return said

    def shell(self, command: str) -> str:
        """What a command prints. Raises `LoadFailed`: it failed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"echo be''gin; {command}; echo e''nd $?\n".encode())
        self._process.stdin.flush()
        self.wait_for(rb"begin\r?\n")
        said = self.wait_for(rb"end \d+\r?\n").decode(errors="replace")
        text, _, status = said.rpartition("end ")
        if int(status):
            raise LoadFailed(f"{command}: {text.strip()}")
        return text


def tools() -> bytes:
    """An archive with tc, what it is linked with, and the tables of its distributions."""
    program = shutil.which("tc", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise ConfigError("tc is not installed: apt install iproute2")
    linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", linked)
    archive = cpio.Archive()
    files = {"usr/tc": Path(program)}
    files |= {library.lstrip("/"): Path(library) for library in libraries}
    files |= {
        f"usr/lib/tc/{table.name}": table for pattern in DISTRIBUTIONS for table in Path("/usr/lib").glob(pattern)
    }
    made: set[str] = set()
    for name, source in files.items():
        for parent in [*reversed(Path(name).parents)][1:]:
            if str(parent) not in made:
                made.add(str(parent))
                archive.directory(str(parent))
        archive.file(name, source.read_bytes(), 0o755)
    return archive.emit()


@contextmanager
def box() -> Iterator[Box]:
    """Started, ready; killed at the end with its helpers."""
    image = store.pull("uml")
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="bench-netem-")))
        initrd = home / "initrd"
        initrd.write_bytes(image.initrd.read_bytes() + gzip.compress(tools(), 1))
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        for one in (end for pair in pairs for end in pair):
            stack.callback(one.close)
            for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                one.setsockopt(socket.SOL_SOCKET, name, 8 << 20)
        cards = [Card("fd", str(theirs.fileno())) for _, theirs in pairs]
        parameters = f"{image.default_cmdline} hostname=netem"
        launch = prepare(image.kernel, home, cards, initrd=initrd, parameters=parameters)
        process = subprocess.Popen(
            launch.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=launch.directory,
            env=os.environ | launch.environment,
            pass_fds=launch.pass_fds,
            start_new_session=True,
        )
        try:
            made = Box(process, pairs[0][0], pairs[1][0])
            made.wait_for(READY)
            made.shell(BRIDGE)
            yield made
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def by_box(setting: Setting, at: Box) -> Run:
    """netem in the guest."""
    at.shell(f"TC_LIB_DIR=/usr/lib/tc /usr/tc qdisc replace dev eth1 root netem limit 5000 {setting.netem}")
    for end in (at.left, at.right):
        end.setblocking(False)
        while True:  # what the guest's own kernel says on its networks
            try:
                end.recv(2048)
            except BlockingIOError:
                break
        end.setblocking(True)
    try:
        return measure(at.left, at.right, setting, FRAME_OCTETS)
    finally:
        at.shell("/usr/tc qdisc delete dev eth1 root")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.netem", description=__doc__.partition(":")[0])
    parser.add_argument("--only", metavar="TEXT", default="", help="settings whose title has this in it")
    options = parser.parse_args(arguments)
    foreign: list[float] = []
    try:
        with machine.alone(300.0), machine.awake(True) as awake, box() as at:
            print("| settings | should be | netem | vde wire |\n|---|---|---|---|")  # noqa: T201
            for setting in SETTINGS:
                if options.only not in setting.title:
                    continue
                cells = []
                for side in (lambda setting: by_box(setting, at), by_wire):
                    machine.wait_quiet(10.0, 3.0)
                    disturbance = machine.Disturbance([])
                    cells.append(setting.show(side(setting)))
                    foreign.append(disturbance.pct())
                print(f"| {setting.title} | {setting.expected} | {' | '.join(cells)} |", flush=True)  # noqa: T201
    except (VdeError, LoadFailed) as error:
        print(f"bench-netem: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(  # noqa: T201
        f"\n{strftime('%Y-%m-%d', gmtime())}, {machine.description()}, idle processors"
        f" {'kept awake' if awake else 'sleep'}; others and the guest used {median(foreign):.0f} % of the machine"
        f" (at most {max(foreign):.0f} %)."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
