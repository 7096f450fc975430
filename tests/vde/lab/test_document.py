"""Reading YAML with places: what values are, where they stand, and that hostile files end in errors, soon."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.lab.diagnostics import Complaints, Place, TopologyError
from vde.lab.document import MOST_OCTETS, MOST_VALUES, Node, find, plain_scalar, read_octets
from vde.lab.read import load


def read(text: str) -> Node:
    complaints = Complaints("f.yml")
    node = read_octets(text.encode(), complaints)
    complaints.raise_any()
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),  # YAML 1.1 says False, and 8041827055 and 133342 to the next two
        ("10:20:30:40:50:55", "10:20:30:40:50:55"),
        ("2222:22", "2222:22"),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("1" * 5000, "1" * 5000),
        ("64M", "64M"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)


def test_quoted_scalars_are_text() -> None:
    assert read("a: '7'\nb: \"true\"\nc: |\n  8\n").plain() == {"a": "7", "b": "true", "c": "8\n"}


def test_keys_are_text() -> None:
    assert read("7: a\ntrue: b\n~: c\n").plain() == {"7": "a", "true": "b", "~": "c"}


def test_merge_keys_and_aliases() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {z: 3}\nc: {<<: [*a, *b], y: 4}\nd: *a\n"
    assert read(text).plain() == {
        "a": {"x": 1, "y": 2},
        "b": {"z": 3},
        "c": {"y": 4, "x": 1, "z": 3},
        "d": {"x": 1, "y": 2},
    }


def test_places() -> None:
    tree = read("a:\n  bb: [1, two]\n  c:\n    - d: e\n")
    assert find(tree, ("a", "bb")) == Place(2, 7, 1)
    assert find(tree, ("a", "bb"), key=True) == Place(2, 3, 2)
    assert find(tree, ("a", "bb", 1)) == Place(2, 11, 3)
    assert find(tree, ("a", "c", 0, "d")) == Place(4, 10, 1)
    assert find(tree, ("a", "c")) == Place(3, 3, 1), "a block has no text of its own: its key"
    assert find(tree, ("a", "nothing", "there")) == Place(1, 1, 1)


def test_a_byte_order_mark_is_ignored() -> None:
    complaints = Complaints("f.yml")
    node = read_octets(b"\xef\xbb\xbfa: 1\n", complaints)
    assert node is not None
    assert node.plain() == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "[[],\n" * 30_000,
        "a: &a [*a]",
        "a: b\n" * 60_000,
        "x: [" + "1," * (MOST_VALUES + 1) + "]",
        "&a x: &b {<<: *b}",
        "a: " + "é" * MOST_OCTETS,
        "\n".join(f"a{i}: &a{i} [*a{i - 1}]" if i else "a0: &a0 []" for i in range(1000)),
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode(),
)
def test_hostile_files_end_in_errors(text: str) -> None:
    with pytest.raises(TopologyError):
        read(text)


def test_a_file_of_one_error_a_line_shows_a_bounded_number() -> None:
    complaints = Complaints("f.yml")
    read_octets(("a: 1\n" * 9000).encode(), complaints)
    with pytest.raises(TopologyError, match="8949 more errors are not shown"):
        complaints.raise_any()


def words(text: str) -> list[str]:
    return text.split()


KEYS = st.sampled_from(
    words("""
        name schema seed defaults kinds groups nodes links checks topology x-a kind image memory numports nics eth0 eth1
        model mac ipv4 gateway group members depends_on condition labels endpoints node interface ping console send
        expect within count switch hub qemu tap a b sw <<
    """)
)
VALUES = st.sampled_from(
    [
        *words("""
            switch hub qemu tap debian-i386 64M 64 30s 10.0.0.1/24 10.0.0.1 a b sw eth0 pcnet true null 1 -1 1.5 ready
            a:eth0 sw:1 i386 * []
        """),
        "a:eth0 -- b:1",
        "a -- sw",
        "a -- b -- sw:2",
    ]
)
OPTIONS = st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(KEYS, VALUES, max_size=2))


def trees() -> st.SearchStrategy[Any]:
    leaves = VALUES | st.integers(-5, 5000) | st.booleans() | st.none() | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
        max_leaves=40,
    )


TOPOLOGIES = st.fixed_dictionaries(
    {"nodes": trees() | st.dictionaries(KEYS, OPTIONS, min_size=1, max_size=4)},
    optional={
        "links": trees() | st.lists(VALUES, max_size=4) | st.lists(st.lists(VALUES | OPTIONS, max_size=3)),
        "checks": trees() | st.dictionaries(KEYS, OPTIONS, max_size=2),
        **{key: trees() | OPTIONS for key in ("defaults", "kinds", "groups", "name", "topology")},
    },
)


def as_yaml(value: Any) -> str:
    import io

    from ruamel.yaml import YAML

    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(value, out)
    return out.getvalue()


@pytest.mark.fuzz
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_random_octets_give_an_error_or_a_tree(octets: bytes) -> None:
    """Whatever the file: a tree, or complaints about places in it."""
    complaints = Complaints("f.yml")
    node = read_octets(octets, complaints)
    assert node is not None or complaints


@pytest.mark.fuzz
@given(TOPOLOGIES)
def test_random_topologies_give_an_error_or_a_lab(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """Whatever is said with the keys of the format: a lab, or errors at places that exist."""
    file = tmp_path_factory.getbasetemp() / "garbage.yml"
    file.write_text(as_yaml(value))
    try:
        load(file)
    except TopologyError as error:
        lines = file.read_text().split("\n")
        for diagnostic in error.diagnostics:
            assert diagnostic.place is None or 1 <= diagnostic.place.line <= len(lines)
            assert diagnostic.place is None or diagnostic.place.column <= len(lines[diagnostic.place.line - 1]) + 1


@pytest.mark.fuzz
@given(st.text("[]{}:,-&*?!|>'\"#%@`<= \n\tab1", max_size=60))
def test_random_yaml_characters_give_an_error_or_a_tree(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Dense in YAML's own characters, so that most of the scanner is reached."""
    complaints = Complaints("f.yml")
    node = read_octets(text.encode(), complaints)
    assert node is not None or complaints


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"error V001: the file cannot be read: No such file or directory"):
        load(tmp_path / "none.yml")
    with pytest.raises(TopologyError, match=r"error V001: the file cannot be read: Is a directory"):
        load(tmp_path)
