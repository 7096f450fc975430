"""Text from others, made safe to print on a console.

Descriptions of clients, file names and echoed lines may hold anything. What is not printable (control characters,
newlines, undecodable octets, characters that reorder or hide others) is shown as an escape, so that a client's
description can neither forge a line of an answer nor command the terminal that shows it.
"""


def printable(line: str) -> str:
    """The line with everything that is not printable as `\\n`, `\\x1b`, `\\u202e`…"""
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else _escape(character) for character in line)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: an octet that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
