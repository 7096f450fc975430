"""What the tests with real peers share."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.tools import NeedTool


@pytest.fixture
def two_namespaces(need_tool: NeedTool) -> Iterator[tuple[str, str]]:
    """Two network namespaces of ours, removed with everything in them."""
    ip = need_tool("ip")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    names = (f"vdeA{os.getpid()}", f"vdeB{os.getpid()}")
    made = []
    try:
        for name in names:
            subprocess.run([ip, "netns", "add", name], check=True)
            made.append(name)
        yield names
    finally:
        for name in made:
            subprocess.run([ip, "netns", "delete", name], check=True)
