"""What users and peers write: round trips, complaints, and garbage that never does more than ConfigError."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vde.wire.wires import LR, wire
from vde.errors import ConfigError, Refused
from vde.wire import units
from vde.wire.control import carry_out, parse_request
from vde.wire.distribution import parse_table
from vde.wire.filter.commands import carry_out_on_nodes
from vde.wire.filter.console import Console, Session
from vde.wire.filter.nodes import Nodes
from vde.wire.filter.pipeline import Filter
from vde.wire.filter.translate import parse_markov
from vde.wire.filter.values import parse_value
from vde.wire.impairments import SETTINGS, Impairments, merge
from vde.wire.loss import parse_loss
from vde.wire.match import Fields, parse_match
from vde.wire.schedule import parse_schedule
from vde.wire.trace import parse_trace

_PIECES = [*"0123456789.,:;-+%eEkKMGibtmsunhBLRUN[]/=# \n\t\0ä", "gilbert:", "state:", "burst:", "vlan ", "not "]
WORDS = st.lists(st.sampled_from(_PIECES), max_size=40).map("".join)
WRONG = [
    ({"delay": "40"}, "write 40ms if that is what is meant"),
    ({"delay": "40MS"}, "write 40ms"),
    ({"loss": "1"}, "write 1%"),
    ({"loss": "101%"}, "0% to 100%"),
    ({"rate": "1kb"}, "a rate with its unit"),
    ({"rate": "0bit"}, "at least 1bit"),
    ({"rate": "1Mbit", "trace": "x"}, "files cannot be read here"),
    ({"loss": "burst:80%,2"}, "bursts of at least 4.00 frames"),
    ({"loss": "state:60%,50%,60%"}, "must not be more than 100%"),
    ({"reorder": "5%"}, "reorder wants a delay"),
    ({"losss": "5%"}, "'losss' is no impairment: delay, "),
    ({"delay": "1x", "loss": "2"}, "delay: .*; loss: "),
    ({"distribution": "gauss"}, "uniform, normal, pareto, paretonormal or the path"),
    ({"delay": "999999h"}, "is too much"),
]


@pytest.mark.parametrize(("settings", "expected"), WRONG)
def test_complaints_say_what_is_expected(settings: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        merge(Impairments(), settings)


@given(st.integers(0, units.LONGEST_NS))
def test_random_durations_come_back(value: int) -> None:
    assert units.parse_duration_ns(units.format_duration(value)) == value


@given(st.floats(0, 1))
def test_random_shares_come_back(value: float) -> None:
    if value >= 1e-15:
        assert units.parse_share(units.format_share(round(value, 15))) == round(value, 15)


@pytest.mark.fuzz
@given(
    st.dictionaries(
        st.sampled_from(sorted(SETTINGS)),
        WORDS | st.sampled_from(["1ms", "5%", "1%,2%", "1Mbit", "64KiB", "yes", "7", "codel", "1e-5"]),
    )
)
def test_fuzz_settings(settings: dict[str, str]) -> None:
    """What is accepted is shown in a way that gives the same settings again."""
    try:
        read = merge(Impairments(), settings)
    except ConfigError:
        return
    assert merge(Impairments(), read.settings()) == read


@pytest.mark.fuzz
@given(WORDS)
def test_fuzz_loss(text: str) -> None:
    try:
        loss = parse_loss(text)
    except ConfigError:
        return
    assert parse_loss(str(loss)) == loss


@pytest.mark.fuzz
@given(
    st.lists(
        st.sampled_from(
            [
                "vlan",
                "10",
                "not",
                "and",
                "ip",
                "10.0.0.0/8",
                "fd00::/8",
                "port",
                "53",
                "udp",
                "proto",
                "mac",
                "02:00:00:00:00:01",
                "group",
                "none",
                "length",
                "64-",
                "ethertype",
                "arp",
                "x",
            ]
        ),
        max_size=12,
    ),
    st.binary(max_size=120),
)
def test_fuzz_matches(words: list[str], octets: bytes) -> None:
    """A match that is accepted reads any frame, and its spelling means the same."""
    try:
        match = parse_match(" ".join(words))
    except ConfigError:
        return
    fits = match.fits(Fields(octets.ljust(14, b"\0")))
    assert parse_match(match.text).text == match.text
    assert parse_match(match.text).fits(Fields(octets.ljust(14, b"\0"))) == fits


@pytest.mark.fuzz
@given(st.binary(max_size=200))
def test_fuzz_fields_of_hostile_frames(octets: bytes) -> None:
    for ethertype in (b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xa8", b""):
        fields = Fields((bytes(12) + ethertype + octets).ljust(14, b"\0"))
        assert fields.vlan is None or 0 <= fields.vlan < 4096
        assert fields.ports is None or fields.ip is not None
        assert 0 <= fields.ethertype <= 0xFFFF


@pytest.mark.fuzz
@given(
    st.lists(
        WORDS | st.integers(-5, 70_000).map(str) | st.sampled_from(["# c", "5ms set loss=1%", "every 2s down"]),
        max_size=8,
    )
)
def test_fuzz_files(lines: list[str]) -> None:
    """Tables, traces, schedules and scripts for wirefilter: a result or a complaint with the line."""
    text = "\n".join(lines)
    for parse in (parse_table, parse_trace, parse_schedule, parse_markov):
        try:
            parse("file", text)
        except ConfigError as error:
            complaint = str(error)
        else:
            continue
        assert complaint.startswith("file:")


@pytest.mark.fuzz
@given(WORDS)
def test_fuzz_wirefilter_values(text: str) -> None:
    found = parse_value(text)
    assert found.value is None or abs(found.value.value) <= 1e18


COMMANDS = ["showinfo", "loss 5+1N[0]", "markov-numnodes 3", "setedge 0,1,20", "markov-name 1,x", "load f", "fifo 0"]


@pytest.mark.fuzz
@given(st.lists(st.sampled_from(COMMANDS) | WORDS, max_size=10), st.binary(max_size=60))
def test_fuzz_wirefilter_console(lines: list[str], garbage: bytes) -> None:
    """Every line has an answer that ends with a prompt; edges always make 100."""

    def script(path: str) -> list[bytes]:
        return [line.encode() for line in lines] if path == "f" else [b""]

    filter_ = Filter("s", Nodes(), 0)
    session = Session(Console(filter_, script, lambda: 0, "0"))
    session.receive(garbage)
    session.end_of_line()
    for line in lines:
        clean = line.replace("\n", " ")
        answer = session.receive(clean.encode() + b"\n")
        assert session.closed or answer.endswith(b"\nVDEwf$ ")
    for row in filter_.nodes.edges:
        assert len(row) == len(filter_.nodes)
        assert abs(sum(row) - 100) < 1e-3


@pytest.mark.fuzz
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(["do", "settings", "direction", "rule", "number", "replace", "loss", "x"]),
                x,
                max_size=4,
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["set", "why", "reset", "show", "watch", "x"]),
)
def test_fuzz_control_requests(value: object, do: str) -> None:
    """A request is carried out or refused with a sentence; the wire stays usable."""
    one = wire()
    if isinstance(value, dict):
        value = {**value, "do": do}
    with contextlib.suppress(ConfigError):
        carry_out(one, parse_request(json.dumps(value).encode()), 0, {})
    assert one.state()["name"] == "w"


@pytest.mark.fuzz
@given(st.binary(max_size=80))
def test_fuzz_control_octets(octets: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_request(octets + b"!")


def test_deeply_nested_requests_are_refused() -> None:
    with pytest.raises(ConfigError):
        parse_request(b"[" * 60_000)


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "set", "settings": {"loss": 5}},
        {"do": "set", "settings": []},
        {"do": "why", "number": True},
        {"do": "why", "number": 10**30},
        {"do": "set", "direction": "up"},
        {"do": "reset", "settings": {}},
        {"do": ["set"]},
    ],
)
def test_requests_of_other_types(request_: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        carry_out(wire(), parse_request(json.dumps(request_).encode()), 0, {})


def test_markov_scripts_become_states() -> None:
    text = "markov-numnodes 2\nmarkov-name 0,OK\nloss 50[1]\ndelay 100+9N[1]\n"
    text += "setedge 0,1,10\nsetedge 1,0,30\nmarkov-time 50\n"
    markov = parse_markov("wf.rc", text)
    assert [state.name for state in markov.states] == ["OK", ""]
    bad = markov.states[1].impairments[LR]
    assert bad.settings() == {"delay": "100ms", "jitter": "3ms", "distribution": "normal", "loss": "50%"}
    assert [list(row) for row in markov.edges] == [[0.9, 0.1], [0.3, 0.7]]
    assert markov.period_ns == 50_000_000
    with pytest.raises(ConfigError, match=r"wf\.rc:2: 'bogus'"):
        parse_markov("wf.rc", "loss 1\nbogus\n")


def test_markov_weights_shrink_to_the_node_itself() -> None:
    nodes = Nodes()
    for line in ("markov-numnodes 3", "setedge 0,1,10", "setedge 0,2,20", "markov-numnodes 2"):
        assert carry_out_on_nodes(nodes, line)
    assert nodes.edges == [[90.0, 10.0], [0.0, 100.0]]
    with pytest.raises(Refused):
        carry_out_on_nodes(nodes, "markov-numnodes 99999999")
