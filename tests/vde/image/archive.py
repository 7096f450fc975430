"""A Debian archive made up for tests: signed index, pool, and a web server that can be slow, stop, or lie."""

import email.utils
import hashlib
import http.server
import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote

from tests.vde.image.openpgp import TEST_KEY, Key
from tests.vde.image.packages import make_busybox_deb, make_kernel_deb

_MODIFIED_S = 1_600_000_000


@dataclass
class Archive:
    """An archive for one suite and one architecture, in a directory.

    Attributes:
        root: where it lies.
        packages: name, then version, depends and content.
    """

    root: Path
    architecture: str = "i386"
    suite: str = "bookworm"
    key: Key = TEST_KEY
    packages: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)

    def fill(self, abi: str = "6.1.0-99", kernel: bytes | None = None) -> None:
        """What the recipe debian-i386 needs."""
        real = f"linux-image-{abi}-686"
        self.packages["linux-image-686"] = ("6.1.99-1", f"{real} (= 6.1.99-1)", b"metapackages are not fetched")
        self.packages[real] = ("6.1.99-1", "kmod, linux-base", kernel or make_kernel_deb())
        self.packages["busybox-static"] = ("1:1.35.0-4", "", make_busybox_deb())

    def publish(self, *, signed: bool = True, index_changes: Mapping[bytes, bytes] | None = None) -> None:
        """Write pool and index; `index_changes` are made after the hashes were taken, so that the index is wrong."""
        index = []
        for name, (version, depends, content) in self.packages.items():
            path = self.pool_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            fields = {
                "Package": name,
                "Version": version,
                "Architecture": self.architecture,
                "Maintainer": "Nobody <nobody@example.invalid>",
                **({"Depends": depends} if depends else {}),
                "Filename": str(path.relative_to(self.root)),
                "Size": len(content),
                "SHA256": hashlib.sha256(content).hexdigest(),
                "Description": "test",
            }
            index.append("".join(f"{key}: {value}\n" for key, value in fields.items()))
        octets = "\n".join(index).encode()
        dists = self.root / "dists" / self.suite
        where = f"main/binary-{self.architecture}/Packages"
        (dists / where).parent.mkdir(parents=True, exist_ok=True)
        release = (
            f"Origin: Test\nLabel: Test\nSuite: oldstable\nCodename: {self.suite}\n"
            "Date: Sun, 13 Sep 2020 12:26:40 UTC\n"
            f"Architectures: {self.architecture}\nComponents: main\nDescription: test\n"
            f"SHA256:\n {hashlib.sha256(octets).hexdigest()} {len(octets)} {where}\n"
        )
        for old, new in (index_changes or {}).items():
            assert old in octets
            octets = octets.replace(old, new)
        (dists / where).write_bytes(octets)
        for name in ("InRelease", "Release"):
            (dists / name).unlink(missing_ok=True)
        if signed:
            (dists / "InRelease").write_text(self.key.clear_sign(release))
        else:
            (dists / "Release").write_text(release)

    def pool_path(self, name: str) -> Path:
        """A package's file."""
        version = self.packages[name][0].replace(":", "%3a")
        return self.root / "pool" / f"{name}_{version}_{self.architecture}.deb"

    def kernel_name(self) -> str:
        """The package with the kernel in it."""
        return next(name for name in self.packages if name.startswith("linux-image-6."))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "ArchiveServer"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        path = self.server.root / unquote(self.path).lstrip("/").replace("1:1", "1%3a1")
        wanted = self.headers.get("Range", "")
        self.server.requests.append((self.path, wanted))
        if not path.is_file():
            self.send_error(404, "Not Found")
            return
        data = path.read_bytes()
        date = email.utils.formatdate(_MODIFIED_S, usegmt=True)
        start = 0
        if wanted and self.headers.get("If-Range") == date:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.server.resumed_at.append(start)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Last-Modified", date)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        stop = self.server.stop_after_octets
        if path.suffix == ".deb" and stop is not None and start < stop:
            self.wfile.write(data[start:stop])
            self.wfile.flush()
            self.server.stopped.set()
            self.server.go_on.wait(60)
            self.close_connection = True
            return
        self.wfile.write(data[start:])


class ArchiveServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves an archive on a port of its own.

    Attributes:
        requests: path and `Range` of each request.
        resumed_at: the offset from which each answer began; 0 where the server would not go on.
        stop_after_octets: packages are sent up to there, and then nothing more comes until the server closes.
        stopped: set when that has happened.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.requests: list[tuple[str, str]] = []
        self.resumed_at: list[int] = []
        self.stop_after_octets: int | None = None
        self.stopped = threading.Event()
        self.go_on = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def uri(self) -> str:
        """What a source names."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what the tests are about."""

    def __enter__(self) -> "ArchiveServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_on.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
