"""The links of a file in one form, whatever their spelling was."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vde.lab.diagnostics import Place
from vde.lab.document import Keys, find
from vde.lab.schema import End, Link
from vde.lab.validate import Validated
from vde.wire.schedule import Entry


@dataclass(frozen=True)
class LinkEnd:
    """One end of a link, as the file says it; `impair`: None if it says nothing of that."""

    node: str
    interface: str | None
    mac: str | None
    place: Place
    impair: dict[str, str] | None = None

    def __str__(self) -> str:
        return self.node if self.interface is None else f"{self.node}:{self.interface}"


@dataclass(frozen=True)
class FileLink:
    """A link; `schedule`: lines, as `vde.wire.schedule` reads them."""

    name: str | None
    ends: tuple[LinkEnd, ...]
    place: Place
    impair: dict[str, str] | None = None
    schedule: tuple[str, ...] = ()

    def is_impaired(self, end: LinkEnd) -> bool:
        """Does something happen to what an end sends, or may it?"""
        return self.impair is not None or bool(self.schedule) or end.impair is not None


def read_links(validated: Validated) -> Iterator[FileLink]:
    """The file's links."""
    links = validated.file.links
    listing = {None: links} if isinstance(links, list) else dict(links or {})
    for group, members in listing.items():
        for index, link in enumerate(members):
            path: Keys = ("links", index) if group is None else ("links", group, index)
            place = find(validated.tree, path)
            match link:
                case str():
                    texts = re.split(r" +-- +", link.strip(" "))
                    yield FileLink(None, tuple(_text_end(text, place, validated.text) for text in texts), place)
                case Link():
                    yield FileLink(
                        link.name,
                        _ends(link.endpoints, (*path, "endpoints"), validated),
                        place,
                        None if link.impair is None else link.impair.settings(),
                        tuple(_line(entry) for entry in link.schedule or ()),
                    )
                case _:
                    yield FileLink(None, _ends(link, path, validated), place)


def twice(link: FileLink) -> Iterator[LinkEnd]:
    """Ends that name the same interface, or the same node without naming one."""
    for index, end in enumerate(link.ends):
        for other in link.ends[index + 1 :]:
            if (end.node, end.interface) == (other.node, other.interface):
                yield other


def _ends(ends: list[str | End], path: Keys, validated: Validated) -> tuple[LinkEnd, ...]:
    found = []
    for index, end in enumerate(ends):
        place = find(validated.tree, (*path, index))
        if isinstance(end, str):
            found.append(_text_end(end, place, validated.text))
        else:
            interface = None if end.interface is None else str(end.interface)
            impair = None if end.impair is None else end.impair.settings()
            found.append(LinkEnd(end.node, interface, end.mac, place, impair))
    return tuple(found)


def _text_end(text: str, place: Place, source: str) -> LinkEnd:
    """`NODE:INTERFACE`, and where exactly it stands if it is part of a longer text on one line."""
    text = text.strip(" ")
    node, _, interface = text.partition(":")
    return LinkEnd(node, interface or None, None, place.narrowed(text, source))


def _line(entry: Entry) -> str:
    change = entry.change
    words = [str(entry), change.verb, *(f"{name}={value}" for name, value in change.settings)]
    return " ".join(words + ([f"dir={change.directions[0]}"] if len(change.directions) == 1 else []))
