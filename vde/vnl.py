"""VNL, the virtual network locator: the text that names a plug.

    VNL      = "-" | path | scheme "://" rest           a text without "://" is a switch's directory: vde://path
    rest     = address *( "/" option ) [ "{" VNL "}" ]   slash style:   vxlan://239.0.0.1/vni=7
             | address [ "[" option *( "/" option ) "]" ] [ "{" VNL "}" ]   bracket style: vde:///run/sw[port=3/mode=0660]
    option   = name [ "=" value ]

Quoting, everywhere in `rest`: '…', "…", \\x, %hh (two hexadecimal digits). What is quoted never delimits. The outermost
braces hold the nested VNL, unread. Which style a scheme has is its plug's to say (`vde.plugspec`).

Source: vdeplug4 `parsevnl`, `vde_parseparms`, `vde_parsepathparms`, as observed. Differences, on purpose: an option
that is unknown, or a quote or bracket that is not closed, is an error, with its position.

Limits: `TEXT_OCTETS` of text, `NESTED_DEPTH` VNLs within one another.
"""

import string
from dataclasses import dataclass, field
from typing import Literal

from vde.errors import ConfigError

TEXT_OCTETS = 16 << 10  # chosen
NESTED_DEPTH = 16  # chosen
DEFAULT_SCHEME = "vde"
STDIO = "-"
_SCHEME = frozenset(string.ascii_letters + string.digits + "_+.-")

Style = Literal["slash", "bracket", "either", "raw"]
"""`either`: bracket style if a bracket follows the address, else slash style (`vlan://`).
`raw`: all of `rest` is the address, unquoted by nobody (`cmd://`)."""


class VnlError(ConfigError):
    """A VNL is wrong: shows it, and where.

    Attributes:
        text: the whole VNL.
        position: index of the first character at fault, 0…len(text).
        reason: what is wrong with it.
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        self.text, self.position, self.reason = text, position, reason
        shown = text if text.isprintable() else ascii(text)
        caret = "\n  " + shown + "\n  " + " " * position + "^" if shown == text else ""
        super().__init__(f"{shown!r}: {reason} (at character {position + 1}){caret}")


@dataclass(frozen=True, slots=True)
class Option:
    """`name` or `name=value`, unquoted; `position` of its first character in the whole text."""

    name: str
    value: str | None
    position: int


@dataclass(frozen=True, slots=True)
class Vnl:
    """A VNL, cut at its scheme.

    Attributes:
        text: as given.
        scheme: in lower case; `-` for standard input and output.
        rest: what follows `://`, as given.
        offset: index of `rest` in `text`.
    """

    text: str
    scheme: str
    rest: str
    offset: int

    def error(self, position: int, reason: str) -> VnlError:
        """An error at `position` of `text`."""
        return VnlError(self.text, position, reason)


@dataclass(frozen=True, slots=True)
class Parts:
    """`rest`, cut in pieces and unquoted.

    Attributes:
        nested: the text between the outermost braces, as given; None: no braces.
        nested_position: of its first character in the whole text.
    """

    address: str
    options: tuple[Option, ...] = field(default=())
    nested: str | None = None
    nested_position: int = 0


def parse(text: str) -> Vnl:
    """Cut a VNL at its scheme.

    Raises:
        VnlError: too long, or the scheme is no word.
    """
    if len(text) > TEXT_OCTETS:
        raise VnlError(text[:64] + "…", 64, f"{len(text)} characters: at most {TEXT_OCTETS} were expected")
    if "\0" in text:
        raise VnlError(text, text.index("\0"), "a NUL character is not possible")
    if text == STDIO:
        return Vnl(text, STDIO, "", 1)
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme or any(character in scheme for character in "/[{'\""):
        return Vnl(text, DEFAULT_SCHEME, text, 0)
    for position, character in enumerate(scheme):
        if character not in _SCHEME:
            raise VnlError(
                text, position, f"{character!r} in a scheme: letters, digits, '_', '+', '.' and '-' were expected"
            )
    return Vnl(text, scheme.lower(), rest, len(scheme) + 3)


def cut(vnl: Vnl, style: Style) -> Parts:
    """Address, options and nested VNL of `vnl.rest`.

    Raises:
        VnlError: a quote, bracket or brace is not closed; octets after the closing one; an option without a name.
    """
    if style == "raw":
        return Parts(vnl.rest)
    tokens = _unquote(vnl)
    tokens, nested, nested_position = _take_nested(vnl, tokens)
    if style == "either":
        first = next((token.character for token in tokens if token.plain and token.character in "/["), "/")
        style = "slash" if first == "/" else "bracket"
    if style == "slash":
        address, *options = _split(tokens, "/")
    else:
        address, options = _take_brackets(vnl, tokens)
    return Parts(_text(address), tuple(_option(vnl, option) for option in options if option), nested, nested_position)


@dataclass(frozen=True, slots=True)
class _Token:
    """One character; `plain`: it was not quoted, so it may delimit."""

    character: str
    plain: bool
    position: int


def _unquote(vnl: Vnl) -> list[_Token]:
    tokens: list[_Token] = []
    rest, offset = vnl.rest, vnl.offset
    index, quote, opened = 0, "", 0
    depth = 0
    while index < len(rest):
        character, start = rest[index], index
        index += 1
        if depth and not quote:  # a nested VNL is left as it is, but its quotes hide braces
            if character in "{}":
                depth += 1 if character == "{" else -1
                tokens.append(_Token(character, depth == 0, offset + start))
            elif character == "\\" and index < len(rest):
                tokens += [_Token(character, False, offset + start), _Token(rest[index], False, offset + index)]
                index += 1
            else:
                tokens.append(_Token(character, False, offset + start))
            continue
        if quote and character == quote:
            quote = ""
        elif character in "'\"" and not quote:
            quote, opened = character, start
        elif character == "\\" and quote != "'":
            if index == len(rest):
                raise vnl.error(offset + start, "nothing follows '\\'")
            tokens.append(_Token(rest[index], False, offset + start))
            index += 1
        elif character == "%" and not quote and _is_hex(rest[index : index + 2]):
            if (octet := int(rest[index : index + 2], 16)) == 0:
                raise vnl.error(offset + start, "a NUL character is not possible")
            tokens.append(_Token(bytes([octet]).decode(errors="surrogateescape"), False, offset + start))
            index += 2
        else:
            if character == "{" and not quote:
                depth = 1
            tokens.append(_Token(character, not quote, offset + start))
    if quote:
        raise vnl.error(offset + opened, f"the quote {quote} is not closed")
    return tokens


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(character in string.hexdigits for character in text)


def _take_nested(vnl: Vnl, tokens: list[_Token]) -> tuple[list[_Token], str | None, int]:
    begin = next((index for index, token in enumerate(tokens) if token.plain and token.character == "{"), None)
    if begin is None:
        return tokens, None, 0
    position = tokens[begin].position
    end = next((i for i in range(begin + 1, len(tokens)) if tokens[i].plain and tokens[i].character == "}"), None)
    if end is None:
        raise vnl.error(position, "the brace { is not closed")
    if end + 1 < len(tokens):
        raise vnl.error(tokens[end + 1].position, "nothing was expected after the closing brace")
    return tokens[:begin], vnl.text[position + 1 : tokens[end].position], position + 1


def _take_brackets(vnl: Vnl, tokens: list[_Token]) -> tuple[list[_Token], list[list[_Token]]]:
    begin = next((index for index, token in enumerate(tokens) if token.plain and token.character == "["), None)
    if begin is None:
        return tokens, []
    end = next((i for i in range(len(tokens) - 1, begin, -1) if tokens[i].plain and tokens[i].character == "]"), None)
    if end is None:
        raise vnl.error(tokens[begin].position, "the bracket [ is not closed")
    if end + 1 < len(tokens):
        raise vnl.error(tokens[end + 1].position, "nothing was expected after the closing bracket")
    return tokens[:begin], _split(tokens[begin + 1 : end], "/")


def _split(tokens: list[_Token], delimiter: str) -> list[list[_Token]]:
    pieces: list[list[_Token]] = [[]]
    for token in tokens:
        if token.plain and token.character == delimiter:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _option(vnl: Vnl, tokens: list[_Token]) -> Option:
    equals = next((index for index, token in enumerate(tokens) if token.plain and token.character == "="), None)
    name = _text(tokens if equals is None else tokens[:equals])
    if not name:
        raise vnl.error(tokens[0].position, "an option without a name")
    return Option(name, None if equals is None else _text(tokens[equals + 1 :]), tokens[0].position)


def _text(tokens: list[_Token]) -> str:
    text = "".join(token.character for token in tokens)
    return text.encode(errors="surrogateescape").decode(errors="surrogateescape")  # %c3%a4 is one character


def quote(text: str) -> str:
    """`text` such that `cut` gives it back as (part of) an address or a value."""
    return "".join(f"\\{character}" if character in "'\"\\%/[]{}=" else character for character in text)
