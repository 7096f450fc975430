"""Debian's vde_switch, run beside ours."""

import os
import subprocess
from pathlib import Path
from types import TracebackType

PATIENCE_S = 20.0


class OriginalSwitch:
    """`vde_switch -s DIR -M MGMT OPTIONS…`, whose standard input is a pipe that is held open. Terminated on exit."""

    def __init__(self, program: str, home: Path, *options: str) -> None:
        self.directory = home / "s.ctl"
        self.management = home / "s.mgmt"
        self.process = subprocess.Popen(
            [
                program,
                "-s",
                os.fspath(self.directory),
                "-M",
                os.fspath(self.management),
                "-f",
                "/nonexistent",
                *options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write(b"showinfo\n")
            self.process.stdin.flush()
            while (line := self.process.stdout.readline()) != b"1000 Success\n":
                assert line, "vde_switch ended"
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)

    def __enter__(self) -> "OriginalSwitch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
