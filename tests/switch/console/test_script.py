"""Files of commands: `load`, and the rc file."""

import os
from pathlib import Path

import pytest

from switch.console.script import SCRIPT_OCTETS, read_script
from switch.console.server import run_script
from switch.console.session import SCRIPT_DEPTH, SCRIPT_LINES
from tests.switch.console.rig import Rig
from vde.errors import Refused


def test_each_line_is_echoed_and_followed_by_its_answer(rig: Rig, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("vlan/create 31\nload /nonexistent\n")
    outer.write_text(f"# c\n\n  vlan/create 20\nlogout\nport/showinfo\nload {inner}\nlast\x1b")
    assert rig.do(f"load {outer}").replace(f"{tmp_path}", "") == (
        "vde[/outer]: # c\n"
        "vde[/outer]: \n"
        "vde[/outer]:   vlan/create 20\n1000 Success\n"
        "vde[/outer]: logout\n"
        "vde[/outer]: port/showinfo\n0000 DATA END WITH '.'\nNumports=32\nHUB=false\ncounters=true\n.\n1000 Success\n"
        "vde[/outer]: load /inner\n"
        "vde[/inner]: vlan/create 31\n1000 Success\n"
        "vde[/inner]: load /nonexistent\n1002 No such file or directory\n1000 Success\n"
        "vde[/outer]: last\\x1b\n1038 Function not implemented\n"
        "1000 Success\n"
    )
    assert sorted(rig.switch.vlans) == [0, 20, 31]
    assert not rig.session.closed


def test_shutdown_in_a_script_ends_it(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("shutdown\nvlan/create 5\n")
    answer = rig.say(f"load {tmp_path}/s\n".encode())
    assert answer.endswith(b"shutdown\n9999 END OF SESSION")
    assert rig.session.shutdown_requested
    assert sorted(rig.switch.vlans) == [0]


def test_the_rc_file_is_carried_out_and_its_errors_do_not_matter(rig: Rig, tmp_path: Path) -> None:
    rc = tmp_path / "rc"
    rc.write_text("\nbogus\nport/create 3\ndebug/add\nport/create 99\nvlan/create 5\nport/setvlan 3 5")
    run_script(rig.console, rc)
    assert rig.switch.ports.get(3).native_vlan == 5
    assert rig.messages == []
    assert not rig.switch.events.wanted("")


def test_an_rc_file_that_cannot_be_read_is_a_warning(rig: Rig, tmp_path: Path) -> None:
    run_script(rig.console, tmp_path / "none")
    assert rig.messages == [f"{tmp_path}/none: No such file or directory"]


def test_shutdown_in_the_rc_file_ends_the_switch(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "rc").write_text("shutdown\nvlan/create 5")
    run_script(rig.console, tmp_path / "rc")
    assert (rig.shutdowns, sorted(rig.switch.vlans)) == (1, [0])


def test_a_script_that_loads_itself_comes_to_an_end(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(f"vlan/create 5\nload {tmp_path}/s\n")
    answer = rig.do(f"load {tmp_path}/s")
    assert answer.count("vlan/create 5\n") == SCRIPT_DEPTH
    assert answer.count("1040 Too many levels of symbolic links\n") == 1
    assert rig.do("vlan/create 6") == "1000 Success\n"


def test_scripts_that_multiply_come_to_an_end(rig: Rig, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(SCRIPT_DEPTH)]
    for path, following in zip(paths, [*paths[1:], Path("/dev/null")], strict=True):
        path.write_text(f"load {following}\n" * 1000)
    lines = rig.do(f"load {paths[0]}").splitlines()
    assert sum(line.startswith("vde[") for line in lines) <= SCRIPT_LINES
    assert "1007 Argument list too long" in lines


def test_a_script_with_too_many_lines_is_refused_whole(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("vlan/create 5\n" * (SCRIPT_LINES + 1))
    assert rig.do(f"load {tmp_path}/s") == "1007 Argument list too long\n"
    assert sorted(rig.switch.vlans) == [0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/dev/null", []),
        ("/dev/zero", "File too large"),
        ("/nonexistent/x", "No such file or directory"),
        ("", "a path was expected"),
        ("x" * 5000, "File name too long"),
    ],
)
def test_reading_what_is_no_ordinary_file(name: str, expected: list[bytes] | str) -> None:
    if isinstance(expected, list):
        assert read_script(name) == expected
    else:
        with pytest.raises(Refused) as caught:
            read_script(name)
        assert expected in (caught.value.status, str(caught.value))


def test_a_pipe_does_not_hold_the_switch_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert read_script(path) == []
    writer = os.open(path, os.O_RDWR)
    try:
        with pytest.raises(Refused, match="Resource temporarily unavailable"):
            read_script(path)
    finally:
        os.close(writer)


def test_the_longest_script_is_read(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"#" * SCRIPT_OCTETS)
    assert [len(line) for line in read_script(tmp_path / "s")] == [SCRIPT_OCTETS]
    (tmp_path / "s").write_bytes(b"#" * (SCRIPT_OCTETS + 1))
    with pytest.raises(Refused, match="at most"):
        read_script(tmp_path / "s")
