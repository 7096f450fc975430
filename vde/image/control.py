"""Paragraphs of `Field: value` lines, the format of Debian's package indexes and `*.sources` files.

Specification: deb822(5). Field names are compared without case, so they are handed out in small letters.
"""

import re
from collections.abc import Iterator

from vde.errors import WireError

_FIELD_NAME = re.compile(r"[!-9;-~]+")  # deb822(5): printable ASCII without the colon


def paragraphs(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Walk over the paragraphs.

    Args:
        text: the file.

    Yields:
        The line number where a paragraph begins, and its fields; continuation lines keep their indentation.

    Raises:
        WireError: a line is neither field, continuation nor comment; the text begins with the line's number.
    """
    fields: dict[str, str] = {}
    start, last = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield start, fields
            fields, last = {}, ""
        elif line[0] in " \t":
            if not last:
                raise WireError(f"{number}: a continuation line with nothing to continue: {line.strip()!r}")
            fields[last] += "\n" + line.rstrip()
        else:
            key, colon, value = line.partition(":")
            if not colon or not _FIELD_NAME.fullmatch(key):
                raise WireError(f"{number}: expected 'Field: value', found {line.strip()!r}")
            if not fields:
                start = number
            last = key.lower()
            fields[last] = value.strip()
    if fields:
        yield start, fields
