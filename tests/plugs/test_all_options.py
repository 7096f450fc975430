"""VNLs of every scheme with random options: read or refused with a place; what is read keeps to its range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugs import registry
from vde.errors import ConfigError
from vde.plugspec import PlugSpec, names_of
from vde.vnl import VnlError, parse

SCHEMES = registry.schemes()
VALUES = st.one_of(
    st.integers(-10, 1 << 33).map(str),
    st.sampled_from(["", "on", "off", "0x10", "0777", "1k", "9T", "nan", "-1", "²", "%00", "%41", "'a/b'", "\\"]),
    st.text(max_size=12),
)


def vnl_of(spec: PlugSpec, address: str, options: list[tuple[str, str | None]], nested: str | None) -> str:
    text = "/".join(name if value is None else f"{name}={value}" for name, value in options)
    inner = "" if nested is None else "{" + nested + "}"
    if spec.style == "bracket":
        return f"{spec.scheme}://{address}[{text}]{inner}"
    return f"{spec.scheme}://{address}/{text}{inner}"


@pytest.mark.fuzz
@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "-"])
@given(data=st.data())
def test_random_options(scheme: str, data: st.DataObject) -> None:
    spec = registry.find(scheme)
    names = [name for field, _ in spec.options() for name in names_of(field)]
    name = st.one_of(st.sampled_from([*names, "bogus"]), st.text(max_size=6))
    options = data.draw(st.lists(st.tuples(name, st.none() | VALUES), max_size=4))
    nested = data.draw(st.sampled_from([None, "null://", "x{y}", "", "cmd://sh"]))
    text = vnl_of(spec, data.draw(st.text(max_size=10)), options, nested)
    try:
        vnl = parse(text)
        _, params = spec.read(vnl)
    except VnlError as error:
        assert 0 <= error.position <= len(error.text)  # noqa: PT017 - most are no error
        return
    for field, kind in spec.options():
        value = getattr(params, field.name)
        if value is None or value == field.default:
            continue
        assert isinstance(value, kind)
        if kind is int:
            least, most = field.metadata.get("least"), field.metadata.get("most")
            assert least is None or value >= least
            assert most is None or value <= most
        if choices := field.metadata.get("choices"):
            assert value in choices


@pytest.mark.fuzz
@given(st.sampled_from(SCHEMES), st.text(max_size=40))
def test_random_rests_are_checked_without_opening(scheme: str, rest: str) -> None:
    try:
        registry.check(scheme if scheme == "-" else f"{scheme}://{rest}")
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - some are no error
