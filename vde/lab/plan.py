"""What has to be stopped and started to get from the lab that runs to the one that is wanted. Pure.

A node is the same if its fingerprint is: everything that it is made of, its image's octets included. A node that is
plugged into a segment which is started anew is started anew as well, because clients of a VDE switch do not reconnect;
so is a capture of a wire. Captures come last in a lab, after what they need.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vde.lab.messages import ImageFiles
from vde.lab.resolved import AnyNode, Guest, Lab, needed

Action = Literal["start", "stop", "restart", "keep"]


@dataclass(frozen=True)
class Running:
    """A node as it is now.

    Attributes:
        fingerprint: of what it was started as.
        alive: its process runs.
    """

    fingerprint: str
    alive: bool


@dataclass(frozen=True)
class Step:
    """One node's part of a plan."""

    action: Action
    node: str
    reason: str


def fingerprint(node: AnyNode, images: Mapping[str, ImageFiles]) -> str:
    """Equal if and only if the node would run in the same way. Labels and the order of starting do not matter."""
    facts = node.model_dump(mode="json", exclude={"labels", "depends_on"})
    if isinstance(node, Guest) and node.image in images:
        image = images[node.image]
        facts["files"] = [image.kernel_sha256, image.initrd_sha256, image.cmdline]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def make_plan(
    running: Mapping[str, Running], wanted: Lab, images: Mapping[str, ImageFiles], *, recreate: bool = False
) -> list[Step]:
    """Every node of both labs with what happens to it, those that go first.

    Args:
        running: what there is.
        wanted: what there shall be, its ports allotted.
        images: what the guests boot from.
        recreate: restart what could stay.
    """
    steps = [Step("stop", name, "no longer in the file") for name in running if name not in wanted.nodes]
    decided: dict[str, Step] = {}
    for name, node in wanted.nodes.items():
        now = running.get(name)
        if now is None:
            decided[name] = Step("start", name, "new")
        elif not now.alive:
            decided[name] = Step("restart", name, "it was dead")
        elif now.fingerprint != fingerprint(node, images):
            decided[name] = Step("restart", name, "changed")
        elif recreate:
            decided[name] = Step("restart", name, "asked for")
        else:
            decided[name] = Step("keep", name, "up to date")
    for name, node in wanted.nodes.items():
        for other in sorted(needed(node)):
            if decided[name].action == "keep" and decided[other].action != "keep":
                decided[name] = Step("restart", name, f"'{other}' is started anew")
    return steps + list(decided.values())
