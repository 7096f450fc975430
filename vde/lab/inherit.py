"""What is said about a node in several places, merged: its own options, its groups', its kind's, the defaults.

The more specific wins; mappings (`labels`, `depends_on`, `nics`) are merged key by key. From `defaults` and `groups` a
node takes what its kind has and leaves the rest; what stands with the node itself, or with its kind, must fit the kind.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vde.lab.diagnostics import Code, Complaints, did_you_mean, listed, shown
from vde.lab.document import Keys, find
from vde.lab.schema import COMMON_KEYS, KEYS_OF_KIND, Dependency, File, Kind, NodeOptions
from vde.lab.validate import Validated

MERGED = frozenset({"labels", "depends_on", "nics"})
ONLY_FOR_NODES = {"defaults": {"group"}, "kinds": {"group", "kind"}, "groups": {"group"}}


@dataclass(frozen=True)
class Options:
    """A node's merged options.

    Attributes:
        kind: None if it was wrong, which is reported already.
        values: by key; absent if nobody says anything.
        origins: where in the file each value comes from.
    """

    name: str
    kind: Kind | None
    values: Mapping[str, Any]
    origins: Mapping[str, Keys]

    def get(self, key: str, default: Any = None) -> Any:
        """What is said about a key."""
        return self.values.get(key, default)

    def origin(self, key: str) -> Keys:
        """Where it is said; the node itself if nowhere."""
        return self.origins.get(key, ("nodes", self.name))


def inherit(validated: Validated, complaints: Complaints) -> dict[str, Options]:
    """Every node's options, in the file's order."""
    file = validated.file
    _check_places(validated, complaints)
    if isinstance(file.nodes, list):
        for index, name in enumerate(file.nodes):
            if name in file.nodes[:index]:
                place = find(validated.tree, ("nodes", index))
                complaints.add(Code.DUPLICATE_KEY, f"node '{name}' was already given", place)
        nodes: dict[str, NodeOptions | None] = dict.fromkeys(file.nodes)
    else:
        nodes = dict(file.nodes)
    return {name: _merge(name, own or NodeOptions(), validated, complaints) for name, own in nodes.items()}


def _check_places(validated: Validated, complaints: Complaints) -> None:
    file = validated.file
    rooms: list[tuple[Keys, NodeOptions]] = []
    if file.defaults:
        rooms.append((("defaults",), file.defaults))
    for kind, options in (file.kinds or {}).items():
        rooms.append((("kinds", kind), options))
        _check_kind(("kinds", kind), kind, options, validated, complaints)
    rooms += [(("groups", group), options) for group, options in (file.groups or {}).items()]
    for path, options in rooms:
        for key in sorted(said(options) & ONLY_FOR_NODES[str(path[0])]):
            place = find(validated.tree, (*path, key), key=True)
            complaints.add(Code.NOT_OF_KIND, f"'{key}' cannot be given in '{path[0]}', only for a node", place)


def said(options: NodeOptions) -> set[str]:
    """The keys that have a value."""
    return {key for key in keys_of(options) if value_of(options, key) is not None}


def keys_of(options: NodeOptions) -> set[str]:
    """The keys that are there, as the file spells them."""
    fields = type(options).model_fields
    return {fields[name].alias or name for name in options.model_fields_set} - {"members"}


def value_of(options: NodeOptions, key: str) -> Any:
    """What is said about a key."""
    return getattr(options, key.replace("-", "_"))


def _check_kind(path: Keys, kind: str, options: NodeOptions, validated: Validated, complaints: Complaints) -> None:
    for key in sorted(keys_of(options) - KEYS_OF_KIND[kind]):
        others = listed(other for other, keys in KEYS_OF_KIND.items() if key in keys)
        place = find(validated.tree, (*path, key), key=True)
        complaints.add(
            Code.NOT_OF_KIND,
            f"a node of kind '{kind}' has no '{key}' (which is for {others})",
            place,
            f"keys of '{kind}': {listed(KEYS_OF_KIND[kind])}",
        )


def _merge(name: str, own: NodeOptions, validated: Validated, complaints: Complaints) -> Options:
    file = validated.file
    layers: list[tuple[Keys, NodeOptions]] = [(("nodes", name), own)]
    layers += [(("groups", group), (file.groups or {})[group]) for group in _groups(name, own, validated, complaints)]
    kind = next((options.kind for _, options in layers if options.kind), None)
    if kind is None and file.defaults:
        kind = file.defaults.kind
    if any(validated.was_cut(*path, "kind") for path in [path for path, _ in layers] + [("defaults",)]):
        kind = None
    elif kind is None:
        place = find(validated.tree, ("nodes", name), key=True)
        kinds = ", ".join(KEYS_OF_KIND)
        complaints.add(Code.MISSING_KEY, f"node '{name}' has no 'kind', which is required", place, f"kinds: {kinds}")
    if kind:
        _check_kind(("nodes", name), kind, own, validated, complaints)
        if file.kinds and kind in file.kinds:
            layers.append((("kinds", kind), file.kinds[kind]))
    if file.defaults:
        layers.append((("defaults",), file.defaults))
    values: dict[str, Any] = {}
    origins: dict[str, Keys] = {}
    for path, options in layers:
        for key in said(options) & (KEYS_OF_KIND[kind] if kind else COMMON_KEYS):
            value = value_of(options, key)
            if key == "depends_on" and isinstance(value, list):
                value = dict.fromkeys(value, Dependency())
            if key in MERGED and isinstance(value, dict) and isinstance(values.get(key), dict):
                values[key] = value | values[key]
            elif key not in values:
                values[key] = value
                origins[key] = (*path, key)
    return Options(name, kind, values, origins)


def _groups(name: str, own: NodeOptions, validated: Validated, complaints: Complaints) -> list[str]:
    """The node's groups, the most specific first: the one that it names, then those that match it, the last first."""
    file: File = validated.file
    groups = file.groups or {}
    found = []
    if own.group in groups:
        found.append(own.group)
    elif own.group is not None and not validated.was_cut("groups", own.group):
        place = find(validated.tree, ("nodes", name, "group"))
        complaints.add(Code.NO_GROUP, f"there is no group {shown(own.group)}", place, did_you_mean(own.group, groups))
    for group in reversed(groups):
        if group not in found and any(fnmatch.fnmatchcase(name, glob) for glob in groups[group].members or ()):
            found.append(group)
    return found
