"""vde plug: pages, the list, statuses."""

import subprocess

import pytest

from plugs import registry
from tests.lab_runner import PATIENCE_S, VDE
from tests.vde_client import frame
from vde.cli.plug import listing, page
from vde.framing import encode
from vde.plugspec import names_of


def plug(*arguments: str, octets: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([VDE, "plug", *arguments], input=octets, capture_output=True, timeout=PATIENCE_S, check=False)


def test_every_scheme_is_listed_with_what_it_is() -> None:
    lines = dict(line.split(maxsplit=1) for line in listing().splitlines())
    assert set(lines) == set(registry.schemes())
    assert all(0 < len(text) < 160 for text in lines.values())


@pytest.mark.parametrize("scheme", registry.schemes())
def test_every_page_has_every_option(scheme: str) -> None:
    spec = registry.find(scheme)
    text = page(spec)
    assert f"Syntax: {spec.syntax}" in text
    for field, _ in spec.options():
        assert f"\n  {names_of(field)[0]}" in text
        assert field.metadata["help"] in text


def test_types_defaults_and_ranges() -> None:
    done = plug("--help", "vde://")
    assert b"mode=OCTAL              permissions of our socket, octal (default 700; 0 to 777)" in done.stdout
    assert b"also portgroup" in done.stdout
    assert b"ttl=NUMBER" in plug("-h", "udp").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], 2, b"0 VNLs: one or two were expected"),
        (["a", "b", "c"], 2, b"3 VNLs"),
        (["--help", "bogus"], 2, b"bogus:// is unknown; there are "),
        (["null://x{null://}", "null://"], 2, b"null:// takes no VNL in braces"),
        (["null://", "/nonexistent"], 1, b"/nonexistent: No such file or directory"),
        (["null://", "cmd://sh -c 'exit 3'"], 1, b"cmd://sh: it ended with status 3"),
        (["null://"], 0, b""),
        (["--help"], 0, b"vde plug --list"),
        (["--list"], 0, b"udp "),
    ],
)
def test_statuses(arguments: list[str], status: int, text: bytes) -> None:
    done = plug(*arguments)
    assert (done.returncode, text in done.stdout + done.stderr) == (status, True), done


def test_a_command_answers_our_standard_input() -> None:
    with subprocess.Popen([VDE, "plug", "cmd://cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        octets = encode([frame(1), frame(2)])
        process.stdin.write(octets)
        process.stdin.flush()
        assert process.stdout.read(len(octets)) == octets
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
