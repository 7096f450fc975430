"""Where running wires have their control sockets, and which one is meant.

$XDG_RUNTIME_DIR/vde/wires/NAME      or /tmp/vde-UID/wires/NAME: wires that a user started
LAB'S RUNTIME DIRECTORY/w/WIRE       those of labs

A lab's wire has its link's name; `a--b`, `b -- a` and `a:eth0--sw:3` mean the link of these nodes (`vde.lab.links`).
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vde.cli.labs import running_homes
from vde.errors import ConfigError
from vde.lab.errors import NotRunning
from vde.lab.places import NoPlace, check_root, runtime_root

LAB_WIRES = "w"


@contextmanager
def control_place(name: str) -> Iterator[Path]:
    """Where a wire of this name listens. The directories are made, and removed when they are empty."""
    if "/" in name or name in ("", ".", ".."):
        raise ConfigError(f"--name {name!r}: a name without '/' was expected")
    root = runtime_root(os.environ, os.geteuid())
    try:
        check_root(root)
        (root / "wires").mkdir(mode=0o700, exist_ok=True)
    except (NoPlace, OSError) as error:
        raise ConfigError(f"{error}: give --control SOCKET") from None
    try:
        yield root / "wires" / name
    finally:
        with contextlib.suppress(OSError):
            (root / "wires").rmdir()
            root.rmdir()


def find_wire(text: str) -> Path:
    """The control socket that is meant: by its path, a wire's name, or LAB/WIRE.

    Raises:
        NotRunning: there is none.
        ConfigError: it could be several.
    """
    path = Path(text)
    if path.is_socket():
        return path
    lab, _, wire = text.rpartition("/")
    found = [
        home.runtime / LAB_WIRES / wire
        for home in running_homes()
        if lab in ("", home.name) and (home.runtime / LAB_WIRES / wire).is_socket()
    ]
    if not lab and (own := runtime_root(os.environ, os.geteuid()) / "wires" / wire).is_socket():
        found.append(own)
    if not found:
        found = _wires_of_link(lab, wire)
    if not found:
        raise NotRunning(f"no wire {text!r} is running; a name, LAB/WIRE or the path of a control socket was expected")
    if len(found) > 1:
        raise ConfigError(f"which one? {', '.join(map(str, found))}")
    return found[0]


def _wires_of_link(lab: str, text: str) -> list[Path]:
    """The wires of the link that a text means in a running lab.

    Raises:
        ConfigError: the link has none.
    """
    from vde.cli.ps import lab_status
    from vde.lab.links import select
    from vde.lab.resolved import Link, LinkEnd

    found: list[Path] = []
    for home in running_homes():
        if lab not in ("", home.name):
            continue
        links = []
        for link in lab_status(home)["links"]:
            ends = [end.partition(":") for end in link["ends"]]
            resolved = tuple(LinkEnd(node=node, interface=interface, owner=node) for node, _, interface in ends)
            links.append(Link(name=link["name"], ends=resolved, wires=tuple(link["wires"])))
        for chosen, _ in select(links, text):
            if not chosen.wires:
                raise ConfigError(
                    f"link {chosen.name!r} of lab {home.name!r} has no wire, and so nothing that could be set: give it "
                    "'impair: {}' in the file, and apply it by 'vde up'"
                )
            found += [home.runtime / LAB_WIRES / name for name in chosen.wires]
    return found
