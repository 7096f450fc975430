"""`vde …` as a user would run it, in a directory and with sockets, images and guests of the test's own."""

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from vde.image import initramfs
from vde.image.manifest import Manifest, StoredFile, StoredPackage
from vde.image.recipe import RECIPES

ROOT = Path(__file__).parents[1]
VDE = Path(sys.executable).parent / "vde"
PATIENCE_S = 60.0


class LabRunner:
    """Runs `vde` in `directory`; takes down what is left at the end.

    Args:
        directory: short, because of the sockets.
        fake_guests: images are a few octets, and QEMU is tests/vde/lab/fake_qemu.py.
    """

    def __init__(self, directory: Path, *, fake_guests: bool = True) -> None:
        self.directory = directory
        self.file = directory / "lab.vlab.yml"
        self.runtime = directory / "run"
        self.runtime.mkdir()
        self.environment = os.environ | {"XDG_RUNTIME_DIR": str(self.runtime), "COLUMNS": "120"}
        self.command = [str(VDE)]
        self.identity: dict[str, Any] = {}  # `user`, `group` and `extra_groups` of subprocess.Popen
        self._started: list[subprocess.Popen[bytes]] = []
        if fake_guests:
            self._make_guests()

    def _make_guests(self) -> None:
        programs, home, cache = (self.directory / name for name in ("bin", "fake", "cache"))
        programs.mkdir()
        home.mkdir()
        for name in ("qemu-system-i386", "qemu-system-mipsel"):
            program = programs / name
            program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.vde.lab.fake_qemu "$@"\n')
            program.chmod(0o755)
        for name in RECIPES:
            make_image(cache / "vde" / "images" / name, name)
        self.environment |= {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(cache),
            "FAKE_QEMU_HOME": str(home),
        }

    def write(self, text: str) -> None:
        """The topology."""
        self.file.write_text(text)

    def vde(self, *arguments: str, status: int | None = 0, stdin: bytes = b"", timeout_s: float = PATIENCE_S) -> str:
        """Run a command to its end; what it wrote, standard error after standard output.

        Args:
            arguments: of `vde`.
            status: the exit status that it must have; None: any.
            stdin: what it reads.
            timeout_s: how long it may take.
        """
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=self.directory,
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            **self.identity,
        )
        text: str = (done.stdout + done.stderr).decode()
        assert status is None or done.returncode == status, f"exit status {done.returncode}:\n{text}"
        return text

    def start(self, *arguments: str) -> "Running":
        """Start a command."""
        process = subprocess.Popen(
            [*self.command, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self.identity,
        )
        self._started.append(process)
        return Running(process)

    def status(self) -> dict[str, Any]:
        """Of the only lab."""
        labs = json.loads(self.vde("ps", "--json"))
        assert len(labs) == 1
        found: dict[str, Any] = labs[0]
        return found

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The nodes of the only lab, by name."""
        return {node["name"]: node for node in self.status()["nodes"]}

    def pids(self) -> dict[str, int]:
        """The processes of the only lab: of its nodes, and `` of its supervisor."""
        status = self.status()
        return {"": status["supervisor_pid"], **{node["name"]: node["pid"] for node in status["nodes"] if node["pid"]}}

    def assert_nothing_is_left(self) -> None:
        """No socket, no directory in the runtime directory."""
        assert list(self.runtime.iterdir()) == []

    def close(self) -> None:
        """End what was started."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
        self.vde("down", "--all")

    def __enter__(self) -> "LabRunner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Running:
    """A command that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = b""

    def wait_for(self, text: str) -> None:
        """Until it has written the text."""
        while text.encode() not in self.output:
            more = self._read()
            assert more, f"it ended without {text!r}:\n{self.output.decode(errors='replace')}"

    def write(self, octets: bytes) -> None:
        """To its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(octets)
        self.process.stdin.flush()

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Until it has ended; the exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bytes:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        assert readable, f"nothing more was written:\n{self.output.decode(errors='replace')}"
        more = os.read(self.process.stdout.fileno(), 65536)
        self.output += more
        return more


class Watched:
    """Processes whose end can be waited for, though they are not our children."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._descriptors = {name: os.pidfd_open(pid) for name, pid in pids.items()}

    def wait_all(self) -> None:
        """Until all have ended."""
        for name, descriptor in self._descriptors.items():
            readable, _, _ = select.select([descriptor], [], [], PATIENCE_S)
            assert readable, f"process {name!r} still runs"

    def alive(self) -> set[str]:
        """Those that run."""
        return {name for name, descriptor in self._descriptors.items() if not select.select([descriptor], [], [], 0)[0]}

    def __enter__(self) -> "Watched":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


def make_image(directory: Path, name: str, kernel: bytes = b"kernel") -> None:
    """An image that is complete and whole, and boots nothing."""
    directory.mkdir(parents=True)
    recipe = RECIPES[name]
    files = []
    for file, octets in (("vmlinuz-test", kernel), ("initrd-test", b"initrd")):
        (directory / file).write_bytes(octets)
        files.append(StoredFile(file=file, octets=len(octets), sha256=hashlib.sha256(octets).hexdigest()))
    digest = hashlib.sha256(b"").hexdigest()
    manifest = Manifest(
        format=1,
        name=name,
        architecture=recipe.architecture,
        kernel_version="6.1.0-test",
        recipe=recipe.fingerprint(initramfs.guest_init()),
        kernel=files[0],
        initrd=files[1],
        archive_sha256=digest,
        packages=[StoredPackage(package="none", version="1", architecture="all", sha256=digest)],
    )
    (directory / "manifest.json").write_text(manifest.model_dump_json())
