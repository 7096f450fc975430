"""Programs that a test needs: Debian's packages of setup/packages."""

import os
import shutil

import pytest


class NeedTool:
    def __call__(self, name: str) -> str:
        path = shutil.which(name)
        if path is None:
            message = f"{name} is not installed (setup/packages)"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return path
