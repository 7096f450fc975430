"""A cache and an archive of their own for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tools import NeedTool
from tests.vde.image.archive import Archive, ArchiveServer


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The image cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vde" / "images"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive with what debian-i386 needs, published."""
    made = Archive(tmp_path / "archive")
    made.fill()
    made.publish()
    (tmp_path / "key.gpg").write_bytes(made.key.keyring())
    return made


@pytest.fixture
def server(archive: Archive) -> Iterator[ArchiveServer]:
    """That archive on a web server."""
    with ArchiveServer(archive.root) as running:
        yield running


@pytest.fixture
def use_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need_tool: NeedTool) -> Callable[..., Path]:
    """`use_sources(uri)` makes that the only apt source of "this machine", as its administrator would configure it."""
    need_tool("apt-get")
    parts = tmp_path / "sources.list.d"
    configuration = tmp_path / "apt.conf"

    def use(uri: str, suite: str = "bookworm", extra: str = "") -> Path:
        parts.mkdir(exist_ok=True)
        (parts / "test.sources").write_text(
            f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nSigned-By: {tmp_path / 'key.gpg'}\n{extra}"
        )
        configuration.write_text(
            f'Dir::Etc::sourcelist "{tmp_path / "none.list"}";\nDir::Etc::sourceparts "{parts}";\n'
            'Acquire::http::Proxy::127.0.0.1 "DIRECT";\nAcquire::Retries "0";\n'
            f'APT::Update::Post-Invoke {{ "touch {tmp_path / "hook-ran"}"; }};\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(configuration))
        return parts / "test.sources"

    return use
