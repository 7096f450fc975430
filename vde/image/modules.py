"""Choose the modules an image needs, and write the tables by which `modprobe` finds them.

The kernel's package has no modules.dep (depmod writes it when the package is installed), so the dependencies come from
the modules themselves.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from vde.errors import WireError
from vde.image.errors import ImageError
from vde.image.modinfo import ModuleInfo, canonical

_SAFE_PATH = re.compile(r"[A-Za-z0-9_./+-]+")  # modules.dep separates paths with blanks and colons


def closure(
    modules: Mapping[str, ModuleInfo], built_in: frozenset[str], wanted: Iterable[str], optional: Iterable[str] = ()
) -> list[str]:
    """The modules to take, each after those that it depends on.

    Args:
        modules: what the package has, by canonical name.
        built_in: names that the kernel contains already.
        wanted: must be there, as a module or built in.
        optional: are taken if they are there.

    Raises:
        ImageError: a wanted module, or one that it depends on, is not in the package.
        WireError: modules depend on each other in a circle.
    """
    order: list[str] = []
    done: set[str] = set()

    def take(name: str, asked_by: tuple[str, ...]) -> None:
        if name in done or name in built_in:
            return
        if name in asked_by:
            raise WireError(f"modules depend on each other in a circle: {' → '.join((*asked_by, name))}")
        if name not in modules:
            needed = f", which {asked_by[-1]} needs" if asked_by else ""
            raise ImageError(f"the kernel package has no module {name}{needed}")
        if len(asked_by) > 64:  # chosen: real chains have fewer than ten links
            raise WireError(f"a chain of more than 64 module dependencies: {asked_by[0]} …")
        for other in modules[name].depends:
            take(other, (*asked_by, name))
        done.add(name)
        order.append(name)

    for name in wanted:
        take(canonical(name), ())
    for name in optional:
        if canonical(name) in modules:
            take(canonical(name), ())
    return order


def built_in_names(modules_builtin: str) -> frozenset[str]:
    """Names in a `modules.builtin` file: one path of a would-be module a line."""
    return frozenset(module_name(line) for line in modules_builtin.splitlines() if line.strip())


def module_name(path: str) -> str:
    """The canonical name of the module in a file: `kernel/…/ne2k-pci.ko` is `ne2k_pci`."""
    return canonical(path.rsplit("/", 1)[-1].strip().removesuffix(".ko"))


def dependency_table(order: Sequence[str], modules: Mapping[str, ModuleInfo], paths: Mapping[str, str]) -> str:
    """The text of modules.dep (modules.dep(5)): each file with all files to load before it, the nearest first.

    Args:
        order: the chosen modules as `closure` gives them.
        modules: their facts.
        paths: their files below /lib/modules/VERSION.
    """
    needs: dict[str, list[str]] = {}
    lines = []
    for name in order:
        chain: list[str] = []
        for other in modules[name].depends:
            if other in needs:
                chain += [each for each in (other, *needs[other]) if each not in chain]
        # A module must come after (that is: left of) everything it needs itself.
        needs[name] = sorted(chain, key=order.index, reverse=True)
        lines.append(f"{_safe(paths[name])}:{''.join(' ' + _safe(paths[each]) for each in needs[name])}\n")
    return "".join(sorted(lines))


def alias_table(order: Sequence[str], modules: Mapping[str, ModuleInfo]) -> str:
    """The text of modules.alias: `alias PATTERN MODULE` lines."""
    lines = {f"alias {alias} {name}\n" for name in order for alias in modules[name].aliases}
    return "".join(sorted(lines))


def _safe(path: str) -> str:
    if not _SAFE_PATH.fullmatch(path):
        raise WireError(f"unusual module path {path!r}")
    return path
