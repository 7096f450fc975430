"""What all tests share: hypothesis profiles, and the rule for missing tools."""

import contextlib
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.switch_process import SwitchProcess
from tests.tools import NeedTool

# A background job of a shell has interrupts and quits ignored, and so would every program that a test starts; under
# nohup it is the same with hang-ups.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.register_profile("fuzz", deadline=None, max_examples=2_000, suppress_health_check=list(HealthCheck))
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--regen`: golden files are written instead of compared; read the diff before committing it."""
    parser.addoption("--regen", action="store_true", help="write golden files instead of comparing with them")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `late` come last."""
    items.sort(key=lambda item: item.get_closest_marker("late") is not None)


@pytest.fixture
def regen(request: pytest.FixtureRequest) -> bool:
    """Was `--regen` given?"""
    return bool(request.config.getoption("--regen"))


@pytest.fixture
def need_tool() -> NeedTool:
    """`need_tool("tshark")` → its path; a missing tool skips the test here, and fails it in CI, which installs it."""
    return NeedTool()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary directory whose path leaves room in `sun_path` (pytest's own may be too long)."""
    with tempfile.TemporaryDirectory(prefix="vde") as name:
        yield Path(name)


@pytest.fixture
def start_switch(short_path: Path) -> Iterator[Callable[..., SwitchProcess]]:
    """`start_switch(*options, name="a")` → a running vdeswitch in a directory of its own; all end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*options: str, name: str = "a", management: bool = True) -> SwitchProcess:
            home = short_path / name
            home.mkdir(exist_ok=True)
            return stack.enter_context(SwitchProcess(home, *options, management=management))

        yield start
