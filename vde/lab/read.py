"""From a topology file to the lab that it means: read → validate → resolve. What follows is plan → apply.

`load` is the whole pipeline up to the point where something is started; it raises all errors of a file at once.
"""

from collections.abc import Mapping
from pathlib import Path

from vde.errors import ConfigError
from vde.image.recipe import RECIPES
from vde.lab.diagnostics import Code, Complaints
from vde.lab.document import find, read_file
from vde.lab.resolve import AnyArchitecture, resolve
from vde.lab.resolved import Lab, Plug
from vde.lab.validate import Validated, validate

SUFFIXES = (".vlab.yml", ".vlab.yaml")


def known_images() -> Mapping[str, AnyArchitecture]:
    """The architecture of every image that there is a recipe for."""
    return {
        name: _ARCHITECTURES["amd64" if recipe.kind == "uml" else recipe.architecture]
        for name, recipe in RECIPES.items()
    }


_ARCHITECTURES: Mapping[str, AnyArchitecture] = {
    "i386": "i386",
    "mipsel": "mipsel",
    "powerpc": "powerpc",
    "amd64": "x86_64",
}


def usual_name(path: Path) -> str:
    """The lab's name if the file gives none: the file's, without its endings."""
    for suffix in (*SUFFIXES, ".yml", ".yaml"):
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix)
    return path.name


def load(path: Path, shown_as: str | None = None, images: Mapping[str, AnyArchitecture] | None = None) -> Lab:
    """The lab of a file, its ports not allotted yet.

    Args:
        path: the file.
        shown_as: what errors call it; by default its path.
        images: the architecture of every known image; by default those with a recipe.

    Raises:
        TopologyError: everything that is wrong with the file.
    """
    complaints = Complaints(shown_as or str(path))
    lab = None
    tree = read_file(path, complaints)
    if tree is not None and (validated := validate(tree, complaints)) is not None:
        lab = resolve(validated, usual_name(path), known_images() if images is None else images, complaints)
        if lab is not None:
            _check_vnls(lab, validated, complaints)
    complaints.raise_any()
    assert lab is not None, "a file without a lab and without an error"
    return lab


def _check_vnls(lab: Lab, validated: Validated, complaints: Complaints) -> None:
    """Whether the plugs exist and understand their options; nothing is opened."""
    for node in lab.nodes.values():
        if not isinstance(node, Plug):
            continue
        from plugs import registry  # labs without plugs need not wait for them
        from vde.vnl import VnlError, parse

        try:
            registry.check(node.vnl)
            if node.kind == "nat":
                from plugs.parts.nat_plan import plan

                plan(registry.find("nat").read(parse(node.vnl))[1])
        except ConfigError as error:
            reason = str(error)
            if isinstance(error, VnlError):
                reason = f"{error.reason} (at character {error.position + 1})"
            own = validated.file.nodes[node.name] if isinstance(validated.file.nodes, dict) else None
            key = "vnl" if node.kind == "plug" else "ipv4"
            said = own is not None and getattr(own, key) is not None
            place = find(validated.tree, ("nodes", node.name, key) if said else ("nodes", node.name))
            complaints.add(Code.VALUE, f"{node.kind} '{node.name}': {reason}", place)
