"""Which plugs there are, and opening a VNL.

A scheme is served by the file of this package that has its name, or by an entry point of the group `vde.plugs`. A plug
of ours cannot be replaced by an entry point.
"""

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import plugs
from vde import vnl as grammar
from vde.errors import ConfigError
from vde.link import Link
from vde.plugspec import ENTRY_POINTS, PlugSpec, Surroundings
from vde.vnl import Vnl

STDIO_MODULE = "stdio"  # serves the VNL "-"


def schemes() -> list[str]:
    """All schemes, in alphabetical order."""
    own = {found.name for found in pkgutil.iter_modules(plugs.__path__) if _has_plug(found.name)}
    own = {"-" if name == STDIO_MODULE else name for name in own}
    return sorted(own | {point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)})


def find(scheme: str) -> PlugSpec:
    """The plug of a scheme.

    Raises:
        ConfigError: there is none, or it is a third party's and cannot be loaded.
    """
    name = STDIO_MODULE if scheme == grammar.STDIO else scheme
    if name.isidentifier() and _has_plug(name):
        spec: PlugSpec = importlib.import_module(f"plugs.{name}").PLUG
        return spec
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS, name=scheme):
        try:
            loaded = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"{scheme}://: the plug {point.value} cannot be loaded: {error}") from error
        if not isinstance(loaded, PlugSpec):
            raise ConfigError(f"{scheme}://: {point.value} is no PlugSpec")
        return loaded
    raise ConfigError(f"{scheme}:// is unknown; there are {', '.join(schemes())}")


def _has_plug(name: str) -> bool:
    """Only sources are asked: a libvdeplug module that was built here is no module of Python."""
    spec = importlib.util.find_spec(f"plugs.{name}")
    if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        return False
    return hasattr(importlib.import_module(f"plugs.{name}"), "PLUG")


def check(text: str, depth: int = 0) -> None:
    """Read a VNL and those in it, opening nothing.

    Raises:
        ConfigError: it is wrong.
    """
    vnl = _parse(text, depth)
    _, params = find(vnl.scheme).read(vnl)
    if (nested := getattr(params, "nested", None)) is not None:
        check(nested, depth + 1)


@asynccontextmanager
async def open_link(text: str, surroundings: Surroundings) -> AsyncIterator[Link]:
    """Open a VNL.

    Raises:
        ConfigError: the VNL is wrong, or what it names cannot be had for a reason that the user can mend.
        LinkBroken: the outside refuses, or is not there (yet): worth another try.
    """
    check(text)
    vnl = _parse(text, 0)
    spec = find(vnl.scheme)
    address, params = spec.read(vnl)
    async with spec.open(address, params, surroundings) as link:
        yield link


def _parse(text: str, depth: int) -> Vnl:
    if depth > grammar.NESTED_DEPTH:
        raise ConfigError(f"{text!r}: more than {grammar.NESTED_DEPTH} VNLs within one another")
    return grammar.parse(text)
