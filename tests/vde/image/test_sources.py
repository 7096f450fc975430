"""The machine's apt sources: both styles, what is kept, what is never kept."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.errors import ConfigError
from vde.image.sources import Source, parse_deb822, parse_one_line, read_file, read_sources, render, select

ONE_LINE = """\
# a comment
deb http://archive.example/debian bookworm main contrib   # the release
deb-src http://archive.example/debian bookworm main
deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/debian.gpg trusted=yes ] http://a/debian bookworm-updates main
\tdeb\t[check-valid-until=no]\thttp://b/debian-security\tbookworm-security\tmain
deb cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_ - Official amd64]/ bookworm main
deb https://download.docker.com/linux/debian bookworm stable
deb https://apt.example.invalid flat/
"""

DEB822 = """\
Types: deb
# http://snapshot.example/archive/debian/20250520T000000Z
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: bookworm
Components: main

types: deb deb-src
uris:
 http://a.invalid/debian
 http://b.invalid/debian
suites: bookworm
components: contrib main
architectures: amd64
trusted: yes
allow-insecure: yes
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPKxo8BEAC
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_one_line_style() -> None:
    found = parse_one_line(ONE_LINE, "sources.list")
    assert [source.origin for source in found] == [f"sources.list:{line}" for line in (2, 4, 5, 6, 7, 8)]
    assert found[0] == Source(("http://archive.example/debian",), ("bookworm",), ("main", "contrib"), "sources.list:2")
    assert found[1].options == {"Signed-By": "/usr/share/keyrings/debian.gpg"}
    assert found[2].options == {"Check-Valid-Until": "no"}
    assert [source.suites[0] for source in select(found, "bookworm")] == [
        "bookworm",
        "bookworm-updates",
        "bookworm-security",
    ]


def test_deb822_style() -> None:
    found = parse_deb822(DEB822, "debian.sources")
    assert [source.origin for source in found] == ["debian.sources:1", "debian.sources:14"]
    assert found[0].suites == ("bookworm", "bookworm-updates")
    assert found[1].uris == ("http://a.invalid/debian", "http://b.invalid/debian")
    assert found[1].options["Signed-By"].splitlines()[1:3] == [" -----BEGIN PGP PUBLIC KEY BLOCK-----", " ."]


@pytest.mark.parametrize("text", [ONE_LINE, DEB822], ids=["one-line", "deb822"])
def test_what_is_written_is_for_one_architecture_and_signed_archives_only(text: str) -> None:
    parse = parse_one_line if text is ONE_LINE else parse_deb822
    written = render(select(parse(text, "f"), "bookworm"), "mipsel")
    assert "rust" not in written.lower()
    assert "insecure" not in written.lower()
    assert "amd64" not in written
    again = parse_deb822(written, "f")
    assert written.count("Architectures: mipsel\n") == len(again) >= 2
    assert all(source.components == ("main",) for source in again)
    assert {source.options.get("Signed-By") for source in again} == {
        source.options.get("Signed-By") for source in select(parse(text, "f"), "bookworm")
    }


@pytest.mark.parametrize("suite", ["trixie", "stable", "bookworm-backports", "bookworm/", "sid"])
def test_other_suites_are_left_out(suite: str) -> None:
    assert select([Source(("http://a/debian",), (suite,), ("main",), "f:1")], "bookworm") == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.list", "deb http://a/debian\n", r"a\.list:1: expected 'deb \[options\] URI SUITE COMPONENT…'"),
        ("a.list", "\ndeb [arch=amd64 http://a bookworm main\n", r"a\.list:2: the option list lacks its closing"),
        ("a.sources", "Types: deb\nSuites: bookworm\n", r"a\.sources:1: this entry has no URIs"),
        ("a.sources", "Types: deb\nURIs: http://a\n", r"a\.sources:1: this entry has no Suites"),
        ("a.sources", "Types: deb\nwhat is this\n", r"a\.sources:2: expected 'Field: value', found 'what is this'"),
        ("a.sources", " http://a\n", r"a\.sources:1: a continuation line with nothing to continue"),
    ],
)
def test_mistakes_are_shown_with_their_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_file(tmp_path / name)


def test_files_are_read_as_apt_reads_them(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    assert read_sources(tmp_path / "sources.list", parts) == []
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one/debian bookworm main\n")
    (parts / "b.list").write_text("deb http://three/debian bookworm main\n")
    (parts / "a.sources").write_text("Types: deb\nURIs: http://two/debian\nSuites: bookworm\nComponents: main\n")
    for ignored in ("a.list.save", "a.sources.disabled", "c.txt", "d e.list"):
        (parts / ignored).write_text("deb http://ignored/debian bookworm main\n")
    found = read_sources(tmp_path / "sources.list", parts)
    assert [source.uris[0] for source in found] == ["http://one/debian", "http://two/debian", "http://three/debian"]


def test_a_file_that_is_no_sources_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_file(tmp_path / "none.sources")
    (tmp_path / "big.list").write_bytes(bytes(2 << 20))
    with pytest.raises(ConfigError, match="larger than 1048576 octets"):
        read_file(tmp_path / "big.list")


@pytest.mark.fuzz
@given(st.text(alphabet=st.sampled_from("deb :\n\t #[]=\"'Types:URIs.-/\0é"), max_size=200), st.booleans())
def test_random_text_is_refused_or_understood(text: str, one_line: bool) -> None:
    parse = parse_one_line if one_line else parse_deb822
    with contextlib.suppress(ConfigError):
        assert all(source.uris and source.suites for source in parse(text, "f"))
