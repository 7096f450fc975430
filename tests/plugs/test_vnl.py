"""The grammar of VNLs: `vde.vnl`, and options by `vde.plugspec`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.vnl import Option, Style, VnlError, cut, parse, quote


@pytest.mark.parametrize(
    ("text", "scheme", "rest"),
    [
        ("-", "-", ""),
        ("", "vde", ""),
        ("/run/sw", "vde", "/run/sw"),
        ("/run/sw[3]", "vde", "/run/sw[3]"),
        ("UDP://:1->h:2", "udp", ":1->h:2"),
        ("/a/{x://y}", "vde", "/a/{x://y}"),
    ],
)
def test_schemes(text: str, scheme: str, rest: str) -> None:
    vnl = parse(text)
    assert (vnl.scheme, vnl.rest) == (scheme, rest)
    assert text[vnl.offset :] == rest


@pytest.mark.parametrize(
    ("text", "style", "address", "options", "nested"),
    [
        ("vxlan://239.0.0.1/vni=7/v4", "slash", "239.0.0.1", [("vni", "7"), ("v4", None)], None),
        ("vxlan:///vni=7", "slash", "", [("vni", "7")], None),
        ("vde:///run/sw[3/mode=0660]", "bracket", "/run/sw", [("3", None), ("mode", "0660")], None),
        ("vde:///run/s[]", "bracket", "/run/s", [], None),
        (r"vde:///a\[b%5d'[c]'", "bracket", "/a[b][c]", [], None),
        ("vde:///%c3%a4", "bracket", "/ä", [], None),
        ("udp://[::1]:5->[::1]:6", "slash", "[::1]:5->[::1]:6", [], None),
        ("vlan://3/t=5{vde:///x[4]}", "slash", "3", [("t", "5")], "vde:///x[4]"),
        ("agno://k{vlan://3{vde://a}}", "bracket", "k", [], "vlan://3{vde://a}"),
        ("vlan://3/t=5/x{vde:///x[4]}", "either", "3", [("t", "5"), ("x", None)], "vde:///x[4]"),
        ("vlan://3[t=5/x]{vde:///x[4]}", "either", "3", [("t", "5"), ("x", None)], "vde:///x[4]"),
        ("nat:///host='10.0.0.1/24'", "slash", "", [("host", "10.0.0.1/24")], None),
    ],
)
def test_pieces(
    text: str, style: Style, address: str, options: list[tuple[str, str | None]], nested: str | None
) -> None:
    parts = cut(parse(text), style)
    assert parts.address == address
    assert [(option.name, option.value) for option in parts.options] == options
    assert parts.nested == nested
    if nested is not None:
        assert text[parts.nested_position :].startswith(nested)


@pytest.mark.parametrize(
    ("text", "style", "position"),
    [
        ("vde:///a[3", "bracket", 8),
        ("vde:///a[3]b", "bracket", 11),
        ("vlan://3{x", "slash", 8),
        ("vlan://3{x}y", "slash", 11),
        ("vde:///'a", "bracket", 7),
        ("vde:///a\\", "bracket", 8),
        ("vxlan:///=3", "slash", 9),
        ("vde:///%00", "bracket", 7),
    ],
)
def test_errors_show_where(text: str, style: Style, position: int) -> None:
    with pytest.raises(VnlError) as caught:
        cut(parse(text), style)
    assert caught.value.position == position
    assert caught.value.text == text


@pytest.mark.fuzz
@given(st.text(max_size=60), st.sampled_from(["slash", "bracket", "either", "raw"]))
def test_random_text_is_read_or_refused(text: str, style: Style) -> None:
    for candidate in (text, f"x://{text}"):
        try:
            cut(parse(candidate), style)
        except VnlError as error:
            assert 0 <= error.position <= max(len(candidate), 64)  # noqa: PT017 - most texts are no error


@given(st.text(max_size=30).filter(lambda text: "\0" not in text and text.isprintable()))
def test_a_quoted_text_is_read_back(text: str) -> None:
    parts = cut(parse(f"x://{quote(text)}/o={quote(text)}"), "slash")
    assert parts.address == text
    assert next(option for option in parts.options if option.name == "o") == Option("o", text, len(quote(text)) + 5)
