"""Print what pyproject.toml needs to build, run and test, one requirement a line (standard library only)."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
needed = [
    *project["build-system"]["requires"],
    *project["project"]["dependencies"],
    *project["dependency-groups"]["dev"],
]
print("\n".join(needed))
