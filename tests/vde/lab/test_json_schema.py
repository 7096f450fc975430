"""The published schema and the validator accept the same files, as far as a schema can say."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.vde.lab.test_document import TOPOLOGIES, as_yaml
from vde.lab.diagnostics import Code, Complaints, TopologyError
from vde.lab.document import read_file
from vde.lab.json_schema import topology_schema
from vde.lab.read import load

GOLDEN = Path(__file__).parents[2] / "golden" / "lab"
TOPOLOGY_FILES = sorted((Path(__file__).parents[3] / "topologies").glob("*.y*ml"))
RIGHT = [*sorted((GOLDEN / "resolved").glob("*.yml")), *TOPOLOGY_FILES]
# What a schema sees: keys, types and forms.
SYNTAX = {Code.UNKNOWN_KEY, Code.MISSING_KEY, Code.LATER, Code.WRONG_TYPE, Code.UNIT, Code.NOT_OF_KIND}
WRONG = [
    file
    for file in sorted((GOLDEN / "errors").glob("*.yml"))
    if file.stem.partition("-")[0] in SYNTAX and file.stem not in ("V014-empty",)
]

VALIDATOR = Draft202012Validator(topology_schema())


def plain(file: Path) -> Any:
    tree = read_file(file, Complaints(file.name))
    assert tree is not None
    return tree.plain()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(topology_schema())


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: file.stem)
def test_what_is_right_for_us_is_right_for_the_schema(file: Path) -> None:
    load(file)
    assert list(VALIDATOR.iter_errors(plain(file))) == []


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_what_is_wrong_for_us_is_wrong_for_the_schema(file: Path) -> None:
    with pytest.raises(TopologyError):
        load(file)
    assert list(VALIDATOR.iter_errors(plain(file)))


KINDS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(
            ["switch", "hub", "qemu", "tap", "bridge", "nat", "view", "uml", "malta", "umps3", "pearpc"]
        )
    },
    optional={
        "image": st.just("debian-i386"),
        "memory": st.sampled_from(["64M", "0.5G", None]),
        "numports": st.sampled_from([1, 4, None]),
        "ipv4": st.sampled_from(["10.0.0.1/24", "10.0.0.2/24"]),
        "nics": st.sampled_from(["pcnet", {"eth0": None}, {"eth0": {"model": "virtio"}, "eth1": "ne2k"}]),
        "labels": st.just({"a": 1, "b": True}),
        "dhcp": st.booleans(),
        "engine": st.sampled_from(["auto", "passt", "libslirp"]),
        "ports": st.sampled_from([["8080:a:80"], ["127.0.0.1:53:b:53/udp"], []]),
        "command": st.sampled_from(["exec sleep 1", ["sleep", "1"]]),
        "time-offset": st.sampled_from(["-30d", "+2h", "1s"]),
        "x-own": st.just([1]),
    },
)
IMPAIRED = {
    "name": "slow",
    "endpoints": ["a", {"node": "b", "impair": {"loss": "1%", "keep-order": True, "gap": 5}}],
    "impair": {"delay": "40ms", "ber": 1e-6, "jitter": "1ms"},
    "schedule": ["20s set loss=100%", "25s every 60s down"],
}
PLAUSIBLE = st.fixed_dictionaries(
    {"nodes": st.dictionaries(st.sampled_from("abc"), KINDS, min_size=1)},
    optional={
        "links": st.lists(
            st.sampled_from(["a -- b", "b:1 -- c", ["a", "c"], {"endpoints": ["a", "b"]}, IMPAIRED]), max_size=3
        ),
        "captures": st.sampled_from([[{"on": ["a--b"], "file": "x", "ring": {"files": 2, "size": "1K"}}], None]),
        "defaults": st.sampled_from([{"image": "debian-i386"}, {"numports": 4, "kind": "hub"}, None]),
        "seed": st.sampled_from([1, "x", None]),
    },
)


@pytest.mark.fuzz
@given(TOPOLOGIES | PLAUSIBLE | PLAUSIBLE.map(lambda lab: {"topology": lab}))
def test_random_files_that_are_accepted_follow_the_schema(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """The validator is at least as strict as the schema."""
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_text(as_yaml(value))
    try:
        load(file)
    except TopologyError:
        return
    assert list(VALIDATOR.iter_errors(plain(file))) == []
