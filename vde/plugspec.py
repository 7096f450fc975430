"""What a plug is: one file, one scheme, one `PLUG = PlugSpec(…)`.

A plug's file has, in this order: its docstring (which is its help page), a frozen dataclass `Params` (its options:
types, defaults, units, ranges), an `open_…` (an async context manager of a `Link`), and `PLUG`.

    @dataclass(frozen=True)
    class Params:
        vni: int = option(1, "VXLAN network identifier", least=0, most=(1 << 24) - 1)

    @asynccontextmanager
    async def open_vxlan(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]: …

    PLUG = PlugSpec("vxlan", open_vxlan, Params, syntax="vxlan://[GROUP]", style="slash")

Plugs are found by name in the package `plugs` (`plugs/SCHEME.py`), and by the entry points of the group `vde.plugs`,
whose name is the scheme and whose value is a `PlugSpec`: third parties add theirs without a change here.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from vde.link import Link
from vde.vnl import Option, Parts, Style, Vnl, VnlError, cut

ENTRY_POINTS = "vde.plugs"
_NUMBER = re.compile(r"([0-9]+|0[xX][0-9a-fA-F]+)([kKmMgGtT]?)")
_MULTIPLES = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}  # powers of two, as vdeplug4 has them
_TRUE, _FALSE = ("", "1", "on", "yes", "true"), ("0", "off", "no", "false")


class Surroundings(Protocol):
    """What a plug may ask of the program that opens it; the only way to time, chance, the log and other plugs."""

    description: str
    """Of the program, as shown by the switch that it joins, at most 128 octets."""

    def now_ns(self) -> int:
        """Nanoseconds of a clock that never steps back."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z."""

    def random(self, octets: int) -> bytes:
        """Random octets; those of the kernel, unless a test or a replay says otherwise."""

    def warn(self, text: str) -> None:
        """Tell the user, in one line."""

    def open_link(self, vnl: str) -> AbstractAsyncContextManager[Link]:
        """Open a nested VNL."""


def option(
    default: Any,
    help: str,  # noqa: A002 - the word that argparse has for it
    *,
    least: int | None = None,
    most: int | None = None,
    choices: tuple[str, ...] = (),
    base: int = 10,
    aliases: tuple[str, ...] = (),
    unit: str = "",
) -> Any:
    """A field of `Params`.

    Args:
        least, most: range of an integer, both included.
        choices: the words that are possible.
        base: 8 for permission modes.
        aliases: other names of the same option.
        unit: shown in the help.
    """
    facts = {
        "help": help,
        "least": least,
        "most": most,
        "choices": choices,
        "base": base,
        "aliases": aliases,
        "unit": unit,
    }
    return dataclasses.field(default=default, metadata=facts)


@dataclass(frozen=True)
class PlugSpec:
    """One scheme.

    Attributes:
        scheme: lower case.
        open: (address, params, surroundings) → async context manager of a `Link`; with `nested`, params come first in
            the same way, and the nested VNL's text is `params.nested`, a field that `Params` then must have.
        params: the dataclass of its options. A field's name, `_` as `-`, is the option's; types: int, str, bool,
            float, and those with `| None`.
        syntax: of the address, one line.
        bare: the option whose value a first word means that names no option and has no `=`: `vde:///run/sw[3]`.
        nested: may (`optional`), must (`required`) or must not (`none`) a VNL stand in braces?
        module: of the file, whose docstring is the help page; found by itself.
    """

    scheme: str
    open: Callable[[str, Any, Surroundings], AbstractAsyncContextManager[Link]]
    params: type[Any]
    syntax: str
    style: Style = "slash"
    nested: typing.Literal["none", "optional", "required"] = "none"
    bare: str = ""

    @property
    def page(self) -> str:
        """The docstring of its file."""
        import sys

        return sys.modules[self.open.__module__].__doc__ or ""

    def read(self, vnl: Vnl) -> tuple[str, Any]:
        """Address and params of a VNL of this scheme.

        Raises:
            VnlError: an option that is unknown, or a value that is not possible; says what is.
        """
        parts = cut(vnl, self.style)
        values: dict[str, Any] = {}
        for given in self._with_names(parts.options):
            field = self._field(vnl, given)
            if field.name in values:
                raise vnl.error(given.position, f"the option {given.name!r} is given twice")
            values[field.name] = _value(vnl, given, field, self._type(field))
        self._read_nested(vnl, parts, values)
        return parts.address, self.params(**values)

    def options(self) -> list[tuple[dataclasses.Field[Any], Any]]:
        """The fields that are options, with their types (without `| None`)."""
        return [(field, self._type(field)) for field in dataclasses.fields(self.params) if field.name != "nested"]

    def _with_names(self, options: tuple[Option, ...]) -> tuple[Option, ...]:
        names = {name for field, _ in self.options() for name in names_of(field)}
        if not (self.bare and options) or options[0].value is not None or options[0].name in names:
            return options
        return (Option(self.bare, options[0].name, options[0].position), *options[1:])

    def _read_nested(self, vnl: Vnl, parts: Parts, values: dict[str, Any]) -> None:
        if parts.nested is None:
            if self.nested == "required":
                raise vnl.error(len(vnl.text), f"{self.scheme}:// wants a VNL in braces: {{vde:///run/sw}}")
        elif self.nested == "none":
            raise vnl.error(parts.nested_position - 1, f"{self.scheme}:// takes no VNL in braces")
        else:
            values["nested"] = parts.nested

    def _field(self, vnl: Vnl, given: Option) -> dataclasses.Field[Any]:
        names = {name: field for field, _ in self.options() for name in names_of(field)}
        if given.name in names:
            return names[given.name]
        fields = {field.name: field for name, field in names.items() if name.startswith(given.name)}
        if len(fields) == 1:
            return next(iter(fields.values()))
        known = ", ".join(names_of(field)[0] for field, _ in self.options()) or "none"
        what = f"may be {' or '.join(sorted(fields))}" if fields else f"is unknown to {self.scheme}://"
        raise vnl.error(given.position, f"the option {given.name!r} {what}; options: {known}")

    def _type(self, field: dataclasses.Field[Any]) -> Any:
        kind = typing.get_type_hints(self.params)[field.name]
        if isinstance(kind, types.UnionType):
            kind = next(part for part in kind.__args__ if part is not types.NoneType)
        return kind


def names_of(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    """An option's name, and its aliases."""
    return (field.name.rstrip("_").replace("_", "-"), *field.metadata.get("aliases", ()))


def _value(vnl: Vnl, given: Option, field: dataclasses.Field[Any], kind: Any) -> Any:
    facts: Mapping[str, Any] = field.metadata
    text = given.value

    def wrong(expected: str) -> VnlError:
        shown = "no value" if text is None else repr(text)
        return vnl.error(given.position, f"{given.name}: {shown}: {expected} expected")

    if kind is bool:
        word = (text or "").lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise wrong("on or off was")
    if text is None:
        raise wrong("a value was")
    if kind is int:
        return _integer(text, facts, wrong)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise wrong("a number was") from None
    if (choices := facts.get("choices")) and text not in choices:
        raise wrong(f"{', '.join(choices[:-1])} or {choices[-1]} was")
    return text


def _integer(text: str, facts: Mapping[str, Any], wrong: Callable[[str], VnlError]) -> int:
    least, most, base = facts.get("least"), facts.get("most"), facts.get("base", 10)
    kind = "an octal number" if base == 8 else "a number"
    range_ = f" of {least} to {most}" if least is not None and most is not None and base != 8 else ""
    try:
        if base != 10:
            value = int(text, base)
        elif found := _NUMBER.fullmatch(text):
            value = int(found[1], 0 if found[1][:2] in ("0x", "0X") else 10) << _MULTIPLES[found[2].lower()]
        else:
            raise ValueError
    except ValueError:
        raise wrong(f"{kind}{range_} was") from None
    if (least is not None and value < least) or (most is not None and value > most):
        raise wrong(f"{kind}{range_} was")
    return value
