"""What a board is: one file `emulators/boards/NAME.py` with `BOARD = BoardSpec(…)`, found by name.

    @dataclass(frozen=True)
    class Params:
        memory: int = option(128 << 20, "size of the memory", unit="octets", least=16 << 20, most=2 << 30)
        kernel: Path | None = option(None, "an ELF or a raw image")

    def build(params: Params, outside: Outside) -> Machine: …

    BOARD = BoardSpec("malta", build, Params, consoles=("serial0", "serial1"), nic_models=("pcnet", "virtio"), …)

A `Params` is frozen data: types int, str, bool, Path, those with `| None`, and tuple[str, …]. Field names become
options of `vde guest NAME` (`_` as `-`) and keys of lab nodes. Sizes (`unit="octets"`) are read with K, M, G.
"""

import dataclasses
import importlib
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulators import boards
from emulators.machine import Machine
from emulators.outside import Outside
from vde.errors import ConfigError

_MULTIPLES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def option(
    default: Any,
    help: str,  # noqa: A002 - the word that argparse has for it
    *,
    least: int | None = None,
    most: int | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    positional: bool = False,
    metavar: str = "",
) -> Any:
    """A field of `Params`; a required one has `dataclasses.MISSING` as default.

    Args:
        positional: a word of the command line without `--`.
        unit: `octets` for sizes; shown in the help.
    """
    facts = {
        "help": help,
        "least": least,
        "most": most,
        "choices": choices,
        "unit": unit,
        "positional": positional,
        "metavar": metavar,
    }
    return dataclasses.field(default=default, metadata=facts)


@dataclass(frozen=True)
class Needs:
    """What of the world a machine with certain params wants, where its own configuration says so (uMPS3's does).

    Attributes:
        consoles: where a console's octets go if the user says nothing: `stdio`, `none`, `file:PATH`.
        nics: VNLs, one for each cable; "" for one with nothing at its end.
        disks: files, `writable` or not.
    """

    consoles: Mapping[str, str] = dataclasses.field(default_factory=dict)
    nics: tuple[str, ...] = ()
    disks: tuple[tuple[Path, bool], ...] = ()


@dataclass(frozen=True)
class Said:
    """What another emulator's configuration file says, in the words of our options.

    Attributes:
        options: `Params` by name.
        nics, disks: as `--nic` and `--disk` take them.
        consoles: as `--console` takes them, by name.
        clock: as `--clock` takes it, or "".
        unused: what has no counterpart, each with its place in the file.
    """

    options: Mapping[str, Any]
    nics: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    consoles: Mapping[str, str] = dataclasses.field(default_factory=dict)
    clock: str = ""
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class BoardSpec:
    """One board.

    Attributes:
        build: raises ConfigError: an option, or a file that it names, is wrong.
        params: the dataclass of its options.
        consoles: names of its consoles; the first one is the user's by default.
        nic_models, disk_models: what `--nic MODEL,VNL` and `--disk MODEL,FILE` may say, the default first; the board's
            `Params` then has `nics: tuple[str, …]` or `disks: tuple[str, …]`, the models by position. Empty: the board
            has none that the command line could give.
        needs: what the machine's own configuration wants.
        bochsrc: reads a configuration file of Bochs (a file, the environment).
        foreign: as `bochsrc`, by the name of the option.
        points: its engine has what --break and --trace need.
        architecture: of images that it boots (`vde image`), or "".
    """

    name: str
    build: Callable[[Any, Outside], Machine]
    params: type[Any]
    consoles: tuple[str, ...]
    nic_models: tuple[str, ...] = ()
    most_nics: int = 0
    disk_models: tuple[str, ...] = ()
    most_disks: int = 0
    needs: Callable[[Any], Needs] = lambda params: Needs()
    architecture: str = ""
    bochsrc: Callable[[Path, Mapping[str, str]], Said] | None = None
    foreign: Mapping[str, Callable[[Path, Mapping[str, str]], Said]] = dataclasses.field(default_factory=dict)
    points: bool = False

    @property
    def page(self) -> str:
        """The docstring of its file."""
        import sys

        return sys.modules[self.build.__module__].__doc__ or ""

    def options(self) -> list[tuple[dataclasses.Field[Any], Any]]:
        """The options, with their types (without `| None`); not those that --nic and --disk give."""
        hints = typing.get_type_hints(self.params)
        hidden = {"nics"} if self.nic_models else set()
        hidden |= {"disks"} if self.disk_models else set()
        return [
            (field, _plain(hints[field.name])) for field in dataclasses.fields(self.params) if field.name not in hidden
        ]

    def read(self, given: Mapping[str, Any]) -> Any:
        """Params from texts (or values of the field's type) by field name.

        Raises:
            ConfigError: an option that is unknown, missing, or whose value is not possible; all of them at once.
        """
        values: dict[str, Any] = {}
        errors = []
        options = {field.name: (field, kind) for field, kind in self.options()}
        for name, value in given.items():
            if name in ("nics", "disks") and name not in options:
                values[name] = tuple(value)
            elif name not in options:
                errors.append(f"{self.name}: {name}: unknown; there are {', '.join(options)}")
            else:
                try:
                    values[name] = _value(value, *options[name])
                except ValueError as error:
                    errors.append(f"{self.name}: {name.replace('_', '-')}: {value!r}: {error} was expected")
        for name, (field, _) in options.items():
            if (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
                and name not in given
            ):
                errors.append(f"{self.name}: {name.replace('_', '-')} is missing: {field.metadata['help']}")
        if errors:
            raise ConfigError("\n".join(errors))
        return self.params(**values)


def names() -> list[str]:
    """All boards, in alphabetical order."""
    return sorted(found.name for found in pkgutil.iter_modules(boards.__path__) if _spec(found.name) is not None)


def find(name: str) -> BoardSpec:
    """The board of that name; others are not even loaded. Raises ConfigError: there is none."""
    known = {found.name for found in pkgutil.iter_modules(boards.__path__)}
    spec = _spec(name) if name in known else None
    if spec is None:
        raise ConfigError(f"board {name!r} is unknown; there are {', '.join(names())}")
    return spec


def _spec(name: str) -> BoardSpec | None:
    module = importlib.import_module(f"{boards.__name__}.{name}")
    spec: BoardSpec | None = getattr(module, "BOARD", None)
    return spec


def _plain(kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        return next(part for part in kind.__args__ if part is not types.NoneType)
    return kind


def _value(value: Any, field: dataclasses.Field[Any], kind: Any) -> Any:
    facts = field.metadata
    if kind is bool:
        if isinstance(value, bool):
            return value
        if value in ("on", "off"):
            return value == "on"
        raise ValueError("on or off")
    if kind is int:
        number = value if type(value) is int else _number(str(value), octets=facts.get("unit") == "octets")
        least, most = facts.get("least"), facts.get("most")
        if (least is not None and number < least) or (most is not None and number > most):
            octets = facts.get("unit") == "octets"
            bounds = [("from ", least), ("up to ", most)] if None in (least, most) else [("", least), ("to ", most)]
            raise ValueError(" ".join(f"{word}{_text(bound, octets)}" for word, bound in bounds if bound is not None))
        return number
    if kind is Path:
        return Path(value)
    if kind is str:
        choices = facts.get("choices")
        if choices and value not in choices:
            raise ValueError(" or ".join(filter(None, choices)))
        return str(value)
    return tuple(value)


def _text(number: int, octets: bool) -> str:
    """As `_number` reads it."""
    for unit in "gmk" if octets else "":
        if number and number % _MULTIPLES[unit] == 0:
            return f"{number // _MULTIPLES[unit]}{unit.upper()}"
    return str(number)


def _number(text: str, *, octets: bool) -> int:
    wanted = "a size such as 128M" if octets else "a number"
    unit = text[-1:].lower() if octets and text[-1:].lower() in "kmg" else ""
    try:
        return int(text.removesuffix(text[-1:]) if unit else text, 0) * _MULTIPLES[unit]
    except ValueError:
        raise ValueError(wanted) from None
