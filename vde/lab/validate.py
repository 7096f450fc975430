"""A file's tree → the models of `vde.lab.schema`, with complaints for everything that does not follow them.

What is wrong is reported, cut out, and the rest validated again, so that `vde.lab.resolve` can go on and find the
errors of meaning (a link to no node) in the same run. Where something was cut out is remembered, lest its absence be
reported.
"""

from dataclasses import dataclass, field

from pydantic import ValidationError

from vde.lab.diagnostics import Code, Complaints, shown
from vde.lab.document import Keys, Mapping, Node, Scalar, Sequence
from vde.lab.forms import NAME
from vde.lab.schema import File
from vde.lab.wording import KEY, complain, location

WRAPPED = frozenset({"defaults", "kinds", "groups", "nodes", "links"})  # containerlab's `topology:`
MOST_ROUNDS = 4  # chosen: each cuts out whole branches, so three are enough


@dataclass(frozen=True)
class Validated:
    """A file that follows the schema, after what does not was cut out.

    Attributes:
        file: what it says.
        tree: with the same parts cut out; `vde.lab.document.find` gives places in it.
        text: the whole of it as it was read.
        cut: paths of what was cut out, as far as they consist of names.
    """

    file: File
    tree: Node
    text: str = ""
    cut: frozenset[Keys] = field(default_factory=frozenset)

    def was_cut(self, *path: str | int) -> bool:
        """Whether something was cut out there, around it or below it."""
        return any(path[: len(cut)] == cut or cut[: len(path)] == path for cut in self.cut)


def validate(tree: Node, complaints: Complaints) -> Validated | None:
    """Hold the tree against the schema.

    Returns:
        None if so much is wrong that there is nothing to go on with; then there are complaints.
    """
    if not isinstance(tree, Mapping):
        complaints.add(Code.WRONG_TYPE, "a topology is a mapping with 'nodes' and 'links'", tree.place)
        return None
    tree = _unwrap(tree, complaints)
    cut: set[Keys] = set()
    for round_number in range(MOST_ROUNDS):
        try:
            return Validated(File.model_validate(tree.plain()), tree, complaints.text, frozenset(cut))
        except ValidationError as failure:
            paths = []
            for error in failure.errors(include_url=False):
                if round_number == 0:
                    complain(error, tree, complaints)
                path = location(error)
                if error["type"] == "missing":
                    cut.add(path)
                    path = path[:-1]
                paths.append(path[:-1] if path and path[-1] == KEY else path)
            cut.update(paths)
            if () in paths:
                return None
            # From the last to the first, so that the indices of list items stay right.
            for path in sorted(set(paths), key=_order, reverse=True):
                tree = _without(tree, path)
                if len(path) == 2 and path[0] == "nodes" and isinstance(path[1], str) and NAME.fits(path[1]):
                    tree = _with_empty(tree, path[1])
    return None


def _unwrap(tree: Mapping, complaints: Complaints) -> Mapping:
    """Lift what stands in containerlab's `topology:` to the top."""
    if "topology" not in tree.entries:
        return tree
    entries = dict(tree.entries)
    place, inner = entries.pop("topology")
    if not isinstance(inner, Mapping):
        complaints.add(Code.WRONG_TYPE, "'topology' is not a mapping: one with 'nodes' and 'links' was expected", place)
        return Mapping(tree.place, entries, tree.values, tree.height)
    for key, entry in inner.entries.items():
        if key.startswith("x-"):
            continue
        if key in entries:
            complaints.add(Code.DUPLICATE_KEY, f"{shown(key)} is given here and outside of 'topology'", entry[0])
        elif key in WRAPPED:
            entries[key] = entry
        else:
            complaints.add(
                Code.UNKNOWN_KEY,
                f"'topology' has an unknown key {shown(key)}",
                entry[0],
                f"known keys: {', '.join(sorted(WRAPPED))}",
            )
    return Mapping(tree.place, entries, tree.values, tree.height)


def _with_empty(tree: Mapping, name: str) -> Mapping:
    """With a node of which nothing is known but that it exists, so that links to it are not wrong as well."""
    place, nodes = tree.entries["nodes"]
    if not isinstance(nodes, Mapping):
        return tree
    known = nodes.entries | {name: (nodes.place, Scalar(nodes.place, None))}
    entries = tree.entries | {"nodes": (place, Mapping(nodes.place, known, nodes.values, nodes.height))}
    return Mapping(tree.place, entries, tree.values, tree.height)


def _order(path: Keys) -> tuple[tuple[bool, int, str], ...]:
    return tuple((isinstance(step, str), 0 if isinstance(step, str) else step, str(step)) for step in path)


def _without(tree: Mapping, path: Keys) -> Mapping:
    """The tree without what is at the path."""
    cut = _cut(tree, path)
    assert isinstance(cut, Mapping)
    return cut


def _cut(node: Node, path: Keys) -> Node:
    step, rest = path[0], path[1:]
    match node:
        case Mapping(entries=entries) if step in entries:
            entries = dict(entries)
            place, child = entries.pop(str(step))
            if rest:
                entries[str(step)] = place, _cut(child, rest)
            return Mapping(node.place, entries, node.values, node.height)
        case Sequence(items=items) if isinstance(step, int) and step < len(items):
            replaced = (_cut(items[step], rest),) if rest else ()
            return Sequence(node.place, items[:step] + replaced + items[step + 1 :], node.values, node.height)
        case _:
            return node
