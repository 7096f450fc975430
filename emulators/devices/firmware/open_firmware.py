"""Open Firmware's client interface, served by the host: what a kernel asks before it looks after itself.

Specification: IEEE 1275-1994, chapter 6 and annex (client interface services); PowerPC processor binding 2.1, §8.2.
Boards: mac (`--entry open-firmware`).

Theory: the address that a client finds in r5 leads to two instructions, a call to the host and a return. The host reads
the argument array that r3 points at (service, counts, arguments, room for results; cells of 32 bits), does what is
asked, writes the results, and puts 0 into r3, or −1 for a service that is not there. Addresses are physical: clients
run with translation off, or with one that leaves them as they are.

The tree is a device tree as the flattened one (`emulators.loaders.device_tree`); a phandle is a node's number, an
ihandle that of an opened node.

Services: test, peer, child, parent, getproplen, getprop, nextprop, setprop, canon, finddevice, instance-to-path,
instance-to-package, package-to-path, open, close, read, write, seek, claim, release, milliseconds, quiesce, exit, boot,
enter.

Not emulated: call-method and interpret (there is no Forth), chain, callbacks, reading from the console (0 octets).

| threat | stopped by |
|---|---|
| strings, buffers and argument arrays outside memory | an error, counted |
| lengths and counts without bounds | `MOST_ARGUMENTS`, `STRING_OCTETS`, `MOST_OCTETS` |
| opening and claiming without end | `MOST_INSTANCES`, `MOST_CLAIMS` |
| text for the terminal | it goes where the serial line's goes |
"""

from collections.abc import Callable
from typing import Final

from emulators.device import State, Timeline
from emulators.dma import Dma, DmaFault
from emulators.loaders.device_tree import Node
from emulators.snapshot import SnapshotError, take, take_int, take_version

CELL: Final = 4
FAILED: Final = 0xFFFFFFFF
MOST_ARGUMENTS: Final = 16
STRING_OCTETS: Final = 1024
MOST_OCTETS: Final = 1 << 20
MOST_INSTANCES, MOST_CLAIMS, MOST_SET = 256, 4096, 4096
FIRST_HANDLE: Final = 0x100
NS_PER_MS: Final = 1_000_000

ENTRY: Final = bytes.fromhex("440000224e800020")
"""`sc 1`, `blr`."""

Service = Callable[[list[int]], list[int]]


class OpenFirmware:
    """The services.

    Args:
        root: the tree; nodes with a property `phandle` keep that number.
        dma: the way to memory.
        memory_octets: how much of it there is to claim.
        taken: what is claimed from the start: (first, octets).
        out: the console.
        timeline: the machine's time.
        ended: a client gave up (exit, boot, enter).
    """

    timed = False

    def __init__(
        self,
        *,
        root: Node,
        dma: Dma,
        memory_octets: int,
        taken: list[tuple[int, int]],
        out: Callable[[bytes], None],
        timeline: Timeline,
        ended: Callable[[str], None],
    ) -> None:
        self._dma = dma
        self._memory_octets = memory_octets
        self._out = out
        self._timeline = timeline
        self._ended = ended
        self._nodes: dict[int, Node] = {}
        self._paths: dict[int, str] = {}
        self._relatives: dict[int, tuple[int, int, int]] = {}
        self._number(root)
        self._original = {handle: dict(node.properties) for handle, node in self._nodes.items()}
        self.claims = list(taken)
        self.instances: dict[int, int] = {}
        self._next_instance = 1
        self.set: list[tuple[int, str, bytes]] = []
        self.mistakes = 0
        self._services: dict[str, tuple[int, Service]] = {
            "test": (1, lambda a: [0 if self._string(a[0]) in self._services else FAILED]),
            "peer": (1, lambda a: [self._peer(a[0])]),
            "child": (1, lambda a: [self._relatives[a[0]][1] if a[0] in self._nodes else 0]),
            "parent": (1, lambda a: [self._relatives[a[0]][0] if a[0] in self._nodes else 0]),
            "getproplen": (2, lambda a: [self._get_length(a)]),
            "getprop": (4, lambda a: [self._get(a)]),
            "nextprop": (3, lambda a: [self._next(a)]),
            "setprop": (4, lambda a: [self._set(a)]),
            "canon": (3, lambda a: [self._canon(a)]),
            "finddevice": (1, lambda a: [self.find(self._string(a[0]))]),
            "instance-to-path": (3, lambda a: [self._path(self.instances.get(a[0], 0), a[1], a[2])]),
            "instance-to-package": (1, lambda a: [self.instances.get(a[0], FAILED)]),
            "package-to-path": (3, lambda a: [self._path(a[0], a[1], a[2])]),
            "open": (1, lambda a: [self.open(self._string(a[0]))]),
            "close": (1, self._close),
            "read": (3, lambda a: [0 if a[0] in self.instances else FAILED]),
            "write": (3, lambda a: [self._write(a)]),
            "seek": (3, lambda a: [FAILED]),
            "claim": (3, lambda a: [self._claim(*a[:3])]),
            "release": (2, self._release),
            "milliseconds": (0, lambda a: [self._timeline.now_ns // NS_PER_MS & 0xFFFFFFFF]),
            "quiesce": (0, lambda a: []),
            "exit": (0, lambda a: self._end("exit")),
            "boot": (1, lambda a: self._end("boot")),
            "enter": (0, lambda a: self._end("enter")),
        }

    def _number(self, root: Node) -> None:
        given = {
            int.from_bytes(node.properties["phandle"], "big") for _, node in root.walk() if "phandle" in node.properties
        }
        free = (handle for handle in range(FIRST_HANDLE, 1 << 16) if handle not in given)

        def visit(node: Node, parent: int, path: str) -> int:
            own = node.properties.get("phandle")
            handle = int.from_bytes(own, "big") if own else next(free)
            self._nodes[handle], self._paths[handle] = node, path or "/"
            if "name" not in node.properties:
                node["name"] = node.name.split("@")[0] or "device-tree"
            children = [visit(child, handle, f"{path}/{child.name}") for child in node.children]
            self._relatives[handle] = (parent, children[0] if children else 0, 0)
            for child, peer in zip(children, [*children[1:], 0], strict=False):
                self._relatives[child] = (*self._relatives[child][:2], peer)
            return handle

        self._root = visit(root, 0, "")

    # -- the call

    def call(self, at: int) -> int:
        """A client's call with its argument array at `at`; answers what goes into r3."""
        try:
            head = self._cells(at, 3)
            name, counts = self._string(head[0]), head[1:]
            least, service = self._services.get(name, (0, None))
            if service is None or max(counts) > MOST_ARGUMENTS or counts[0] < least:
                self.mistakes += 1
                return FAILED
            results = service(self._cells(at + 3 * CELL, counts[0]))
            results = (results + [0] * counts[1])[: counts[1]]
            octets = b"".join((value & FAILED).to_bytes(CELL, "big") for value in results)
            self._dma.write(at + (3 + counts[0]) * CELL, octets)
        except DmaFault:
            self.mistakes += 1
            return FAILED
        return 0

    def _cells(self, at: int, count: int) -> list[int]:
        octets = self._dma.read(at, count * CELL) if count else b""
        return [int.from_bytes(octets[n : n + CELL], "big") for n in range(0, len(octets), CELL)]

    def _string(self, at: int) -> str:
        octets = b""
        while b"\0" not in octets and len(octets) < STRING_OCTETS:
            octets += self._dma.read(at + len(octets), min(32, self._memory_octets - at - len(octets)) or 1)
        return octets.split(b"\0")[0].decode("latin-1")

    # -- the tree

    def find(self, path: str) -> int:
        """The phandle at a path (each part with or without its unit address, arguments ignored), or −1."""
        parts = [part.split(":")[0] for part in path.strip("/").split("/") if part]
        handle = self._root if path.startswith("/") else 0
        for part in parts:
            child = self._relatives[handle][1] if handle else 0
            while child and part not in (self._nodes[child].name, self._nodes[child].name.split("@")[0]):
                child = self._relatives[child][2]
            handle = child
        return handle or FAILED

    def _peer(self, handle: int) -> int:
        if handle == 0:
            return self._root
        return self._relatives[handle][2] if handle in self._nodes else 0

    def _property(self, arguments: list[int]) -> bytes | None:
        node = self._nodes.get(arguments[0])
        return None if node is None else node.properties.get(self._string(arguments[1]))

    def _get_length(self, arguments: list[int]) -> int:
        value = self._property(arguments)
        return FAILED if value is None else len(value)

    def _get(self, arguments: list[int]) -> int:
        value = self._property(arguments)
        if value is None:
            return FAILED
        if value and arguments[3]:
            self._dma.write(arguments[2], value[: arguments[3]])
        return len(value)

    def _next(self, arguments: list[int]) -> int:
        node = self._nodes.get(arguments[0])
        if node is None:
            return FAILED
        names = list(node.properties)
        before = self._string(arguments[1]) if arguments[1] else ""
        if before and before not in names:
            return FAILED
        at = names.index(before) + 1 if before else 0
        following = names[at] if at < len(names) else ""
        self._dma.write(arguments[2], following.encode("latin-1") + b"\0")
        return 1 if following else 0

    def _set(self, arguments: list[int]) -> int:
        node, name, length = self._nodes.get(arguments[0]), self._string(arguments[1]), arguments[3]
        if node is None or not name or length > MOST_OCTETS or len(self.set) >= MOST_SET:
            self.mistakes += 1
            return FAILED
        value = self._dma.read(arguments[2], length) if length else b""
        node.properties[name] = value
        self.set.append((arguments[0], name, value))
        return length

    def _path(self, handle: int, buffer: int, length: int) -> int:
        path = self._paths.get(handle)
        if path is None:
            return FAILED
        octets = path.encode("latin-1")
        if length:
            self._dma.write(buffer, (octets + b"\0")[:length])
        return len(octets)

    def _canon(self, arguments: list[int]) -> int:
        return self._path(self.find(self._string(arguments[0])), arguments[1], arguments[2])

    # -- instances

    def open(self, path: str) -> int:
        """The ihandle of an opened node, or 0."""
        handle = self.find(path)
        if handle == FAILED or len(self.instances) >= MOST_INSTANCES:
            return 0
        instance, self._next_instance = self._next_instance, self._next_instance + 1
        self.instances[instance] = handle
        return instance

    def _close(self, arguments: list[int]) -> list[int]:
        self.instances.pop(arguments[0], None)
        return []

    def _write(self, arguments: list[int]) -> int:
        instance, at, length = arguments[:3]
        if instance not in self.instances or length > MOST_OCTETS:
            self.mistakes += 1
            return FAILED
        if length:
            self._out(self._dma.read(at, length))
        return length

    # -- memory

    def _claim(self, at: int, octets: int, alignment: int) -> int:
        if not octets or len(self.claims) >= MOST_CLAIMS:
            return FAILED
        if alignment == 0:
            return at if self._is_free(at, octets) else FAILED
        step = 1 << (alignment - 1).bit_length()
        at = self._memory_octets - octets & ~(step - 1) & FAILED
        while at > 0:
            if self._is_free(at, octets):
                return at
            below = min(first for first, size in self.claims if at < first + size and first < at + octets)
            at = below - octets & ~(step - 1)
        return FAILED

    def _is_free(self, at: int, octets: int) -> bool:
        if at + octets > self._memory_octets or any(at < f + size and f < at + octets for f, size in self.claims):
            return False
        self.claims.append((at, octets))
        return True

    def _release(self, arguments: list[int]) -> list[int]:
        pair = (arguments[0], arguments[1])
        if pair in self.claims:
            self.claims.remove(pair)
        return []

    def _end(self, how: str) -> list[int]:
        self._ended(how)
        return []

    # -- the rest of a device

    def read(self, offset: int, size: int) -> int:
        """Nothing on any bus."""
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Nothing on any bus."""

    def next_deadline(self) -> int | None:
        """None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Nothing."""

    def state(self) -> State:
        """As `Device.state`: what clients have changed."""
        return {
            "version": 1,
            "claims": [list(claim) for claim in self.claims],
            "instances": [[instance, handle] for instance, handle in self.instances.items()],
            "next": self._next_instance,
            "set": [[handle, name, value] for handle, name, value in self.set],
            "mistakes": self.mistakes,
        }

    def from_state(self, state: State) -> None:
        """As `Device.from_state`."""
        take_version(state, 1)
        claims, instances, changes = (take(state, name, list) for name in ("claims", "instances", "set"))
        for pairs in (claims, instances):
            if len(pairs) > MOST_CLAIMS or any(
                len(pair) != 2 or any(type(n) is not int or not 0 <= n <= FAILED for n in pair) for pair in pairs
            ):
                raise SnapshotError("snapshot: open firmware: claims or instances")
        if len(changes) > MOST_SET:
            raise SnapshotError("snapshot: open firmware: too many properties were set")
        for handle, node in self._nodes.items():
            node.properties = dict(self._original[handle])
        self.set = []
        for change in changes:
            if (
                len(change) != 3
                or change[0] not in self._nodes
                or type(change[1]) is not str
                or type(change[2]) is not bytes
            ):
                raise SnapshotError("snapshot: open firmware: a property that was set")
            self._nodes[change[0]].properties[change[1]] = change[2]
            self.set.append((change[0], change[1], change[2]))
        self.claims = [(first, octets) for first, octets in claims]
        self.instances = dict(instances)
        self._next_instance = take_int(state, "next", 1 << 32)
        self.mistakes = take_int(state, "mistakes", 1 << 62)
