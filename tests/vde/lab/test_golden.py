"""Topology files, and exactly what is said about them: errors, or the lab with every default filled in.

`--regen` writes the expected files anew; read the diff.
"""

from pathlib import Path

import pytest

from vde.lab.diagnostics import Code, TopologyError
from vde.lab.ports import allot
from vde.lab.read import load
from vde.lab.run_record import resolved_yaml

GOLDEN = Path(__file__).parents[2] / "golden" / "lab"
WRONG = sorted((GOLDEN / "errors").glob("*.yml"))
RIGHT = sorted((GOLDEN / "resolved").glob("*.yml"))
IMAGES = {"debian-i386": "i386", "debian-malta": "mipsel", "uml": "x86_64"}


def compare(expected: Path, text: str, regen: bool) -> None:
    if regen:
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_errors(file: Path, regen: bool) -> None:
    with pytest.raises(TopologyError) as caught:
        load(file, file.name, IMAGES)  # type: ignore[arg-type]
    compare(file.with_suffix(".txt"), f"{caught.value}\n", regen)
    codes = {str(diagnostic.code) for diagnostic in caught.value.diagnostics}
    wanted = file.stem.partition("-")[0]
    assert wanted in codes or not wanted.startswith("V0")


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: file.stem)
def test_resolved(file: Path, regen: bool) -> None:
    text = resolved_yaml(allot(load(file, file.name, IMAGES)))  # type: ignore[arg-type]
    compare(file.with_suffix(".resolved"), text, regen)


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_golden_error(code: Code) -> None:
    assert any(file.stem.startswith(f"{code}-") for file in WRONG)


def test_the_same_file_gives_the_same_lab_whatever_runs() -> None:
    file = GOLDEN / "resolved" / "spellings.yml"
    assert load(file) == load(file)
