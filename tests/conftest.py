"""What all tests share: hypothesis profiles, and the rule for missing tools."""

import os
import shutil

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile("default")


@pytest.fixture
def need_tool() -> "NeedTool":
    """`need_tool("tshark")` → its path; a missing tool skips the test here, and fails it in CI, which installs it."""
    return NeedTool()


class NeedTool:
    def __call__(self, name: str) -> str:
        path = shutil.which(name)
        if path is None:
            message = f"{name} is not installed (setup/packages)"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return path
