"""Pydantic's errors in our words: what is wrong, which value, what was expected, and what to write instead."""

import typing

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from vde.lab import schema
from vde.lab.diagnostics import Code, Complaints, Place, did_you_mean, listed, shown
from vde.lab.document import Keys, Node, find
from vde.lab.later import INSTEAD, LATER, REMOVE

KEY = "[key]"  # how Pydantic ends the location of a wrong key

EXPECTED = {
    "string_type": "text was expected",
    "int_type": "a whole number was expected",
    "int_from_float": "a whole number was expected",
    "int_parsing_size": "a smaller number was expected",
    "bool_type": "true or false was expected",
    "dict_type": "a mapping was expected",
    "model_type": "a mapping was expected",
    "model_attributes_type": "a mapping was expected",
    "list_type": "a list was expected",
    "greater_than_equal": "at least {ge} was expected",
    "less_than_equal": "at most {le} was expected",
    "too_short": "at least {min_length} were expected",
    "too_long": "at most {max_length} are allowed",
    "string_too_long": "at most {max_length} characters are allowed",
}
VALUE_ERRORS = {"greater_than_equal", "less_than_equal", "too_short", "too_long", "string_too_long", "int_parsing_size"}

MODELS: dict[str, type[BaseModel]] = {
    "file": schema.File,
    "node": schema.NodeOptions,
    "group": schema.Group,
    "link": schema.Link,
    "end": schema.End,
    "check": schema.Check,
    "console": schema.ConsoleCheck,
    "nic": schema.Nic,
    "dependency": schema.Dependency,
    "impair": schema.Impair,
    "capture": schema.Capture,
    "ring": schema.Ring,
}


def location(error: ErrorDetails) -> Keys:
    """The path of keys and indices in the file, without Pydantic's marks."""
    return tuple(step for step in error["loc"] if not (isinstance(step, str) and step.startswith("@")))


def subject(path: Keys) -> str:
    """What stands at a path, as a sentence calls it."""
    match path:
        case ():
            return "the topology"
        case ("nodes", str(name)):
            return f"node '{name}'"
        case ("checks", str(name)):
            return f"check '{name}'"
        case ("groups", str(name)):
            return f"group '{name}'"
        case ("kinds", str(name)):
            return f"kind '{name}'"
        case ("captures", int(index)):
            return f"capture {index + 1}"
        case ("links", *_, "schedule", int(index)):
            return f"entry {index + 1} of 'schedule' of {subject(path[:-2])}"
        case ("links", int(index)):
            return f"link {index + 1}"
        case ("links", str(group), int(index)):
            return f"link {index + 1} of '{group}'"
        case ("links", *_, "endpoints", int(index)):
            return f"end {index + 1} of {subject(path[:-2])}"
        case ("links", *_, int(index)):
            return f"end {index + 1} of {subject(path[:-1])}"
        case (*_, int(index)):
            return f"item {index + 1} of {subject(path[:-1])}"
        case ("defaults", key):
            return f"'{key}' in 'defaults'"
        case (key,):
            return f"'{key}'"
        case _:
            return f"'{path[-1]}' of {subject(path[:-1])}"


def room(path: Keys) -> str:
    """Which of `MODELS` the mapping at a path follows; empty for mappings of names."""
    match path:
        case ():
            return "file"
        case ("defaults",) | ("kinds" | "nodes", _):
            return "node"
        case ("groups", _):
            return "group"
        case ("checks", _):
            return "check"
        case ("checks", _, "console"):
            return "console"
        case ("captures", int()):
            return "capture"
        case ("captures", int(), "ring"):
            return "ring"
        case ("links", *_, "impair"):
            return "impair"
        case ("links", int()) | ("links", str(), int()):
            return "link"
        case ("links", *_, int()) if "schedule" not in path:
            return "end"
        case (*_, "nics", _):
            return "nic"
        case (*_, "depends_on", _):
            return "dependency"
        case _:
            return ""


def keys_of(model: type[BaseModel]) -> frozenset[str]:
    """The keys that a file may use in such a mapping."""
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def complain(error: ErrorDetails, tree: Node, complaints: Complaints) -> None:
    """One of Pydantic's errors, as a complaint with its place in the file."""
    path = location(error)
    kind = error["type"]
    if kind == "extra_forbidden":
        _unknown_key(path, tree, complaints)
    elif kind == "missing":
        owner = path[:-1]
        place = find(tree, owner, key=True)
        complaints.add(Code.MISSING_KEY, f"{subject(owner)} has no '{path[-1]}', which is required", place)
    elif path and path[-1] == KEY:
        _wrong_key(error, path[:-1], tree, complaints)
    else:
        _wrong_value(error, path, tree, complaints)


def _unknown_key(path: Keys, tree: Node, complaints: Complaints) -> None:
    owner, key = path[:-1], str(path[-1])
    place = find(tree, path, key=True)
    name = room(owner)
    if key in LATER.get("node" if name == "group" else name, ()):
        complaints.add(Code.LATER, f"{subject(path)} is not supported yet", place, INSTEAD.get((name, key), REMOVE))
        return
    keys = keys_of(MODELS[name]) if name else frozenset()
    hint = did_you_mean(key, keys) or f"known keys: {listed(keys)}"
    complaints.add(Code.UNKNOWN_KEY, f"{subject(owner)} has an unknown key {shown(key)}", place, hint)


def _wrong_key(error: ErrorDetails, path: Keys, tree: Node, complaints: Complaints) -> None:
    key, owner = str(path[-1]), subject(path[:-1])
    place = find(tree, path, key=True)
    if error["type"] == "literal_error":
        _wrong_choice(f"{shown(key)} in {owner}", error, path, place, complaints)
    else:
        code, expected, _ = _expectation(error)
        complaints.add(code, f"{shown(key)} is a name in {owner}: {expected}", place)


def _wrong_value(error: ErrorDetails, path: Keys, tree: Node, complaints: Complaints) -> None:
    value, place = error["input"], find(tree, path)
    if error["type"] == "literal_error":
        _wrong_choice(f"{subject(path)} is {shown(value)}", error, path, place, complaints)
    else:
        code, expected, hint = _expectation(error)
        hint = hint or _hint(error["type"], value, path)
        complaints.add(code, f"{subject(path)} is {_described(value)}: {expected}", place, hint)


def _wrong_choice(sentence: str, error: ErrorDetails, path: Keys, place: Place, complaints: Complaints) -> None:
    """A value that is none of those in a list; or a key, if the path is that of one in `kinds`."""
    value, expected = error["input"], error["ctx"]["expected"]
    about_kind = path[-1] == "kind" or (path[0] == "kinds" and len(path) == 2)
    if about_kind and isinstance(value, str) and value in LATER["kind"]:
        kinds = ", ".join(typing.get_args(schema.Kind))
        complaints.add(Code.LATER, f"kind {shown(value)} is not supported yet", place, f"kinds now: {kinds}")
        return
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    complaints.add(Code.VALUE, f"{sentence}: {expected} was expected", place, hint)


def _expectation(error: ErrorDetails) -> tuple[Code, str, str]:
    """Code, what was expected, hint."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in Code.__members__.values():
        return Code(kind), context.get("expected", error["msg"]), context.get("hint", "")
    expected = EXPECTED.get(kind, error["msg"]).format_map(context)
    return (Code.VALUE if kind in VALUE_ERRORS else Code.WRONG_TYPE), expected, ""


def _described(value: object) -> str:
    match value:
        case None:
            return "empty"
        case []:
            return "an empty list"
        case {}:
            return "an empty mapping"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a mapping"
        case _:
            return shown(value)


def _is_count(value: object) -> bool:
    """A number that is no model's: 486, 604, 750 and 7400 are."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value < 100


def _hint(kind: str, value: object, path: Keys) -> str:
    if path and path[-1] == "cpu" and _is_count(value):
        return "'cpu' is a model, such as pentium3 or 24Kf; the number of CPUs cannot be chosen yet"
    if kind == "string_type" and isinstance(value, int | float | bool):
        return f'write "{value}" in quotes if text is meant'
    if kind == "bool_type" and str(value).lower() in ("yes", "on", "y"):
        return "write true"
    if kind == "bool_type" and str(value).lower() in ("no", "off", "n"):
        return "write false"
    return ""
