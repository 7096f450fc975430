"""The umbrella command: finds its sub-commands, explains itself, and ends with the right status."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from tests.lab_runner import PATIENCE_S, VDE, LabRunner
from vde.cli import main as umbrella
from vde.cli import status
from vde.errors import ConfigError, Refused
from vde.lab.errors import LabFailed, NotRunning
from vde.lab.schema import Kind

COMMANDS = [
    "bridge",
    "capture",
    "check",
    "console",
    "down",
    "guest",
    "image",
    "key",
    "logs",
    "plug",
    "ps",
    "screen",
    "schema",
    "tap",
    "umps",
    "up",
    "validate",
    "view",
    "wire",
]
HIDDEN = ["cable", "supervise"]

*OTHER_KINDS, LAST_KIND = map(repr, get_args(Kind))
UNKNOWN_KIND = f"'kind' of node 'a' is 'swich': {', '.join(OTHER_KINDS)} or {LAST_KIND} was expected"
ALIASES = {"deploy": "up", "apply": "up", "destroy": "down", "inspect": "ps"}
ROOT = Path(__file__).parents[3]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([VDE, *arguments], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_every_command_is_found_and_listed() -> None:
    parser, modules = umbrella.build_parser()
    assert set(COMMANDS + HIDDEN) | set(ALIASES) == set(modules)
    text = parser.format_help()
    for command in COMMANDS:
        assert f"\n    {command}" in text
    for command in HIDDEN:
        assert f"\n    {command}" not in text


@pytest.mark.parametrize(("alias", "command"), ALIASES.items())
def test_aliases(alias: str, command: str) -> None:
    _, modules = umbrella.build_parser()
    assert modules[alias] is modules[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5


def test_without_a_command_the_help_is_shown() -> None:
    done = run()
    assert done.returncode == 0
    assert "vde up topologies/first.yaml" in done.stdout


def test_version() -> None:
    assert run("--version").stdout.startswith("vde-fabric ")


def test_an_unknown_command_is_wrong_usage() -> None:
    done = run("fly")
    assert done.returncode == 2
    assert "invalid choice: 'fly'" in done.stderr


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ConfigError("x"), 2), (NotRunning("x"), 4), (LabFailed("x"), 1), (Refused(1, "x"), 1)],
)
def test_statuses(error: ConfigError, expected: int) -> None:
    assert status.of(error) == expected


def test_importing_all_commands_is_quick() -> None:
    """Help and completion load them all: what is slow is imported when it is used."""
    code = "import sys, vde.cli.main as m; m.build_parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "trio", "ruamel.yaml", "pyroute2", "scapy"} & set(done.stdout.split())


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen([VDE, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_S) == 1


def test_validate_says_what_is_there(tmp_path: Path) -> None:
    done = run("validate", "topologies/first.yaml", cwd=ROOT)
    assert done.stdout == "topologies/first.yaml: valid: lab 'first' with 3 nodes and 4 checks\n"
    resolved = run("validate", "--resolved", "topologies/first.yaml", cwd=ROOT).stdout
    assert resolved == (ROOT / "tests/golden/lab/resolved/first.resolved").read_text()
    assert run("validate", "--format", "json", "topologies/first.yaml", cwd=ROOT).stdout == "[]\n"


def test_validate_shows_all_errors_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "a.vlab.yml").write_text("nodes:\n  a: {kind: swich}\n  b: {kind: switch, numports: 0}\n")
    done = run("validate", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"vde validate: a.vlab.yml:2:13: error V016: {UNKNOWN_KIND}\n"
        "      a: {kind: swich}\n"
        "                ^^^^^\n"
        "hint: did you mean 'switch'?\n"
        "a.vlab.yml:3:31: error V016: 'numports' of node 'b' is 0: at least 1 was expected\n"
        "      b: {kind: switch, numports: 0}\n"
        "                                  ^\n"
    )


def test_validate_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.vlab.yml").write_text("nodes: {a: {kind: swich}}\n")
    done = run("validate", "--format", "json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout) == [
        {
            "file": "a.vlab.yml",
            "line": 1,
            "column": 19,
            "length": 5,
            "code": "V016",
            "message": UNKNOWN_KIND,
            "hint": "did you mean 'switch'?",
        }
    ]


@pytest.mark.parametrize("command", ["up", "validate"])
def test_which_file(tmp_path: Path, command: str) -> None:
    done = run(command, cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no *.vlab.yml here: give the topology's FILE" in done.stderr
    for name in ("a.vlab.yml", "b.vlab.yaml"):
        (tmp_path / name).write_text("nodes: {}\n")
    done = run(command, cwd=tmp_path)
    assert done.returncode == 2
    assert "give one of a.vlab.yml, b.vlab.yaml" in done.stderr


def test_up_with_a_wrong_file_starts_nothing(short_path: Path) -> None:
    with LabRunner(short_path, fake_guests=False) as labs:
        labs.write("nodes: {a: {kind: swich}}\n")
        assert "error V016" in labs.vde("up", status=2)
        labs.assert_nothing_is_left()
        assert not (short_path / ".vde").exists()
        labs.write("nodes: {a: {kind: switch}}\n")
        assert "--timeout 5: a duration with its unit" in labs.vde("up", "--timeout", "5", status=2)


def test_schema_is_json() -> None:
    schema = json.loads(run("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "nodes" in schema["properties"]


def test_commands_about_a_lab_that_does_not_run(short_path: Path) -> None:
    with LabRunner(short_path, fake_guests=False) as labs:
        for arguments in (["down"], ["console", "a"], ["check"], ["logs"], ["ps", "nothing"]):
            output = labs.vde(*arguments, status=4)
            assert "not running" in output or "no lab is running" in output
        assert labs.vde("ps", "--json") == "[]\n"
        assert "there is no such file" in labs.vde("down", "none.vlab.yml", status=2)


def test_ctrl_c_is_status_130(short_path: Path) -> None:
    with LabRunner(short_path) as labs:
        labs.write("nodes: {a: {kind: qemu, image: debian-i386, cmdline: fake.silent}}\n")
        up = labs.start("up", "--foreground")
        up.wait_for("starting")
        os.kill(up.process.pid, signal.SIGINT)
        assert up.wait() == 130
        labs.assert_nothing_is_left()
