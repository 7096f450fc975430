"""A guest in QEMU, with its serial console at hand."""

import os
import re
import select
import subprocess
from collections.abc import Sequence
from types import TracebackType

from vde.clock import monotonic_ns
from vde.image.store import Image

MACHINES = {
    "i386": ("qemu-system-i386", "-M", "pc"),
    "mipsel": ("qemu-system-mipsel", "-M", "malta", "-cpu", "24Kf"),
}
BOOT_LIMIT_S = 180  # it takes five seconds on an idle machine; CI is not idle
PROMPT = r":[^\n]*# "


class Guest:
    """Boots an image; ends with the `with` block."""

    def __init__(self, image: Image, parameters: str, nics: Sequence[str]) -> None:
        command = [*MACHINES[image.architecture], "-m", "128", "-nodefaults", "-display", "none", "-no-reboot"]
        command += ["-serial", "stdio", "-monitor", "none", "-kernel", str(image.kernel), "-initrd", str(image.initrd)]
        command += ["-append", image.command_line(parameters), *nics]
        self._command = command
        self.console = ""
        self._position = 0

    def __enter__(self) -> "Guest":
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def wait_for(self, pattern: str, limit_s: float = 60) -> re.Match[str]:
        """Read the console until the pattern has come after what was found before."""
        assert self._process.stdout
        deadline_ns = monotonic_ns() + int(limit_s * 1e9)
        while not (found := re.compile(pattern).search(self.console, self._position)):
            left_s = (deadline_ns - monotonic_ns()) / 1e9
            ready, _, _ = select.select([self._process.stdout], [], [], max(left_s, 0))
            data = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            assert data, f"no {pattern!r} within {limit_s} s, or QEMU ended; the console shows:\n{self.console}"
            self.console += data.decode("utf-8", "replace").replace("\r", "")
        self._position = found.end()
        return found

    def wait_ready(self) -> str:
        """The ready line, without its beginning; the shell has its prompt then."""
        ready = self.wait_for(r"vde-guest ready: ([^\n]*)\n", BOOT_LIMIT_S)[1]
        self.wait_for(PROMPT)
        return ready

    def type(self, text: str) -> None:
        """Type at the console."""
        assert self._process.stdin
        self._process.stdin.write(text.encode())

    def run(self, command: str, limit_s: float = 60) -> str:
        """Run a command in the guest's shell and return its echo and what it wrote."""
        start = self._position
        self.type(f"{command}; echo status-$?-end\n")
        self.wait_for(r"status-\d+-end\n", limit_s)
        output = self.console[start : self._position]
        self.wait_for(PROMPT)
        return output

    def wait_end(self, limit_s: float = 60) -> int:
        """Wait until QEMU ends by itself."""
        return self._process.wait(limit_s)
