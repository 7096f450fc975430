"""The client of a network block device, and `qemu-nbd`, which reads the image formats that are not ours.

Specification: the NBD protocol (doc/proto.md of the NetworkBlockDevice project): fixed newstyle negotiation with
NBD_OPT_GO, simple replies. One request at a time.

Theory: qemu-nbd is our child, in a session of its own (the user's Ctrl-C is not for it), and serves exactly one
connection: a socket that we listen on in a directory of ours, handed over as systemd would. It ends when the
connection does, so that it cannot be left behind, however we end.

Limits: a request is at most `MOST_OCTETS`; longer ones go in pieces. An answer that takes longer than `PATIENCE_S` is
an I/O error, and so is everything behind it.

Not supported: structured replies, TLS, trim, several connections, servers elsewhere.

| threat | stopped by |
|---|---|
| an image that takes another program's bugs | it is another process, which has the image only |
| a server that answers nonsense | magic numbers, cookies and lengths are checked: an I/O error for good |
"""

import contextlib
import errno
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from emulators.outside import check_range
from vde.errors import ConfigError

PROGRAM: Final = "qemu-nbd"
PACKAGE: Final = "qemu-utils"
PATIENCE_S: Final = 60
MOST_OCTETS: Final = 4 << 20  # chosen; a server must take 32 MiB

# Negotiation
GREETING: Final = struct.Struct(">8s8sH")  # NBDMAGIC, IHAVEOPT, flags
OPTION: Final = struct.Struct(">8sII")  # IHAVEOPT, option, length
OPTION_REPLY: Final = struct.Struct(">QIII")  # magic, option, type, length
OPTION_REPLY_MAGIC: Final = 0x3E889045565A9
FIXED_NEWSTYLE: Final = 1
OPT_GO, REP_ACK, REP_INFO, INFO_EXPORT = 7, 1, 3, 0
MOST_REPLIES, MOST_REPLY_OCTETS = 64, 4096
FLAG_READONLY: Final = 1 << 1

# Transmission
REQUEST: Final = struct.Struct(">IHHQQI")  # magic, flags, type, cookie, offset, length
REQUEST_MAGIC: Final = 0x25609513
REPLY: Final = struct.Struct(">IIQ")  # magic, error, cookie
REPLY_MAGIC: Final = 0x67446698
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3

LISTENER_AS_3: Final = 'exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@"'
"""For /bin/sh: what sd_listen_fds(3) expects, in the process itself."""


class NbdDisk:
    """A disk behind a connection that nobody has spoken on yet.

    Raises:
        OSError: the other end is no such server, or has gone.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._broken = False
        self._cookie = 0
        connection.settimeout(PATIENCE_S)
        self.size_octets, flags = self._negotiate()
        self.readonly = bool(flags & FLAG_READONLY)

    def _negotiate(self) -> tuple[int, int]:
        magic, kind, flags = GREETING.unpack(self._take(GREETING.size))
        if magic != b"NBDMAGIC" or kind != b"IHAVEOPT" or not flags & FIXED_NEWSTYLE:
            raise OSError(errno.EPROTO, "no NBD server of the fixed newstyle")
        go = struct.pack(">IH", 0, 0)  # the export without a name; no more information
        self._connection.sendall(struct.pack(">I", FIXED_NEWSTYLE) + OPTION.pack(b"IHAVEOPT", OPT_GO, len(go)) + go)
        found: tuple[int, int] | None = None
        for _ in range(MOST_REPLIES):
            magic_number, option, kind_number, length = OPTION_REPLY.unpack(self._take(OPTION_REPLY.size))
            if magic_number != OPTION_REPLY_MAGIC or option != OPT_GO or length > MOST_REPLY_OCTETS:
                break
            data = self._take(length)
            if kind_number == REP_INFO and len(data) == 12 and data[:2] == bytes(2):
                found = struct.unpack_from(">QH", data, 2)
            elif kind_number == REP_ACK and found is not None:
                return found
            elif kind_number not in (REP_ACK, REP_INFO):
                raise OSError(errno.EPROTO, f"the NBD server refuses: {data.decode('utf-8', 'replace')[:200]}")
        raise OSError(errno.EPROTO, "an NBD server that cannot be understood")

    def _take(self, octets: int) -> bytes:
        data = bytearray()
        while len(data) < octets:
            part = self._connection.recv(min(octets - len(data), 1 << 20))
            if not part:
                raise OSError(errno.EIO, "the NBD server has gone")
            data += part
        return bytes(data)

    def _do(self, kind: int, offset: int, length: int, data: bytes = b"") -> bytes:
        if self._broken:
            raise OSError(errno.EIO, "the NBD server does not answer any more")
        self._cookie += 1
        self._broken = True  # unless all of it goes well
        self._connection.sendall(REQUEST.pack(REQUEST_MAGIC, 0, kind, self._cookie, offset, length) + data)
        magic, error, cookie = REPLY.unpack(self._take(REPLY.size))
        if magic != REPLY_MAGIC or cookie != self._cookie:
            raise OSError(errno.EPROTO, "an answer that was not asked for")
        answer = self._take(length) if kind == READ and not error else b""
        self._broken = False
        if error:
            raise OSError(error, os.strerror(error) if error < 256 else "NBD error")
        return answer

    def read_at(self, offset: int, octets: int) -> bytes:
        """As `DiskEnd.read_at`."""
        check_range(self, offset, octets)
        return b"".join(
            self._do(READ, at, min(MOST_OCTETS, offset + octets - at))
            for at in range(offset, offset + octets, MOST_OCTETS)
        )

    def write_at(self, offset: int, data: bytes) -> None:
        """As `DiskEnd.write_at`."""
        check_range(self, offset, len(data))
        if self.readonly:
            raise PermissionError(errno.EROFS, "the disk is read-only")
        for at in range(0, len(data), MOST_OCTETS):
            piece = data[at : at + MOST_OCTETS]
            self._do(WRITE, offset + at, len(piece), piece)

    def flush(self) -> None:
        """As `DiskEnd.flush`."""
        if not self.readonly:
            self._do(FLUSH, 0, 0)

    def close(self) -> None:
        """Flush, say goodbye, hang up."""
        with contextlib.suppress(OSError):
            self.flush()
            self._connection.sendall(REQUEST.pack(REQUEST_MAGIC, 0, DISCONNECT, 0, 0, 0))
        self._connection.close()


class ImageDisk(NbdDisk):
    """An image file that qemu-nbd reads.

    Args:
        path: which.
        form: its format, by qemu's name; never guessed: a guest can write any format's signature to a raw disk.
        writable: for the guest; then nobody else may open it.

    Raises:
        ConfigError: the program is missing, or it cannot open the image; says why in its words.
    """

    def __init__(self, path: Path, form: str, *, writable: bool) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise ConfigError(f"disk {path}: {form} images need {PROGRAM}: install Debian's package {PACKAGE}")
        options = [program, f"--format={form}", "--shared=1", *([] if writable else ["--read-only"])]
        with tempfile.TemporaryDirectory(prefix="vde-disk-") as directory, tempfile.TemporaryFile() as said:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(f"{directory}/nbd")
                listener.listen(1)
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(f"{directory}/nbd")
                self._process = _start([*options, "--", str(path.absolute())], listener, said.fileno())
            try:
                super().__init__(connection)
            except OSError as error:
                connection.close()
                self._wait()
                said.seek(0)
                words = said.read(4096).decode("utf-8", "replace").strip()
                reason = words.removeprefix(f"{PROGRAM}: ") or str(error)
                hint = "; another program has it open: use overlay in both" if '" lock' in reason else ""
                raise ConfigError(f"disk {path}: {reason}{hint}") from None

    def _wait(self) -> None:
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """As `NbdDisk.close`; the image is whole, and free, behind it."""
        super().close()
        self._wait()


def _start(command: Sequence[str], listener: socket.socket, said: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", LISTENER_AS_3, "sh", *command],
        stdin=listener.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,
    )


def check_image(path: Path, form: str) -> None:
    """Have qemu-img look at an image's tables before a guest does.

    Raises:
        ConfigError: they are damaged. Space that nothing refers to is no damage.
    """
    program = shutil.which("qemu-img")
    if program is None:
        return  # then there is no qemu-nbd either
    done = subprocess.run(
        [program, "check", "-U", "-f", form, "--", str(path.absolute())],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode in (1, 2):
        lines = (done.stderr + done.stdout).decode("utf-8", "replace").strip().splitlines()
        first = next((line for line in lines if line.strip()), "damaged").removeprefix("qemu-img: ")
        raise ConfigError(f"disk {path}: the {form} image is damaged: {first} (see: qemu-img check {path})")
