"""The JSON Schema of topology files, made from the models that files are held against.

What a schema cannot say is left to `vde validate`: that names refer to something, that addresses are unique. Whatever
`vde validate` accepts, the schema accepts.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from vde.lab.schema import KEYS_OF_KIND, File
from vde.lab.validate import WRAPPED

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OPTIONS = "#/$defs/NodeOptions"


def topology_schema() -> dict[str, Any]:
    """The schema."""
    _, schema = models_json_schema([(File, "validation")], title="vde-fabric topology")
    definitions: dict[str, Any] = schema["$defs"]
    for definition in definitions.values():
        _close(definition)
    file = definitions.pop("File")
    # Of a node itself more can be said than of `defaults`, from which each kind takes what it has.
    definitions["Node"] = {"allOf": [{"$ref": OPTIONS}, *(_keys_of_kind(kind) for kind in KEYS_OF_KIND)]}
    file["properties"]["nodes"] = _replaced(file["properties"]["nodes"], OPTIONS, "#/$defs/Node")
    # containerlab's spelling: the same keys, one level further in.
    wrapper = {key: file["properties"][key] for key in file["properties"] if key in WRAPPED}
    file["properties"]["topology"] = {
        "type": "object",
        "properties": wrapper,
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
        "description": "nodes and links may stand here, as in containerlab's files.",
    }
    file["anyOf"] = [
        {"required": ["nodes"]},
        {"required": ["topology"], "properties": {"topology": {"required": ["nodes"]}}},
    ]
    del file["required"]
    return {"$schema": DIALECT, **file, "title": schema["title"], "$defs": definitions}


def _close(value: Any) -> None:
    """Mappings of names take only names: Pydantic says what names look like, but not that others are wrong."""
    if isinstance(value, dict):
        if "patternProperties" in value and "properties" not in value:
            value.setdefault("additionalProperties", False)
        for item in value.values():
            _close(item)
    elif isinstance(value, list):
        for item in value:
            _close(item)


def _replaced(value: Any, reference: str, by: str) -> Any:
    match value:
        case {"$ref": found} if found == reference:
            return {**value, "$ref": by}
        case dict():
            return {key: _replaced(item, reference, by) for key, item in value.items()}
        case list():
            return [_replaced(item, reference, by) for item in value]
        case _:
            return value


def _keys_of_kind(kind: str) -> dict[str, Any]:
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": {"propertyNames": {"anyOf": [{"enum": sorted(KEYS_OF_KIND[kind])}, {"pattern": "^x-"}]}},
    }
