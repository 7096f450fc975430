"""Golden dialogues: each file of `transcripts/` is a script with the answers that it gets.

    >>> port/print          a command; its answer follows, without prompts
    ... plug 7 alpha        something happens: plug PORT DESCRIPTION, send ENDPOINT HEX, wait SECONDS, pull ENDPOINT

Events of `debug/add` appear where the next command finds them. `pytest --regen` writes the answers anew.
"""

from pathlib import Path

import pytest

from tests.switch.console.rig import Rig

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


def replay(rig: Rig, script: str) -> str:
    """The transcript with the answers of now."""
    lines = []
    far = {}
    for line in script.splitlines():
        if line.startswith(">>> "):
            lines += [line, rig.do(line[4:]).rstrip("\n")]
        elif line.startswith("... "):
            lines.append(line)
            action, _, rest = line[4:].partition(" ")
            first, _, text = rest.partition(" ")
            match action:
                case "plug":
                    number, end = rig.plug(int(first), text)
                    far[number] = end
                case "send":
                    rig.send(far[int(first)], bytes.fromhex(text).ljust(60, b"\0"))
                case "wait":
                    rig.wait(float(first))
                    rig.poll()
                case "pull":
                    rig.switch.pull_out(int(first), rig.now_ns)
                case _:
                    raise AssertionError(f"{line}: no such action")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_dialogue_is_as_it_was(path: Path, rig: Rig, regen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: 4711)
    monkeypatch.setattr(rig.console, "banner", ("VDE switch V.2.3.2", "vde-fabric 0"))
    script = path.read_text()
    answers = replay(rig, script)
    if regen:
        path.write_text(answers)
    else:
        assert answers == script


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 6
