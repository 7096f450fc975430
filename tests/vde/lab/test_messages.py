"""What goes over the control socket: every message survives the way, everything else is an error."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from vde.errors import WireError
from vde.lab import messages
from vde.lab.line import LineReader
from vde.lab.messages import Event

REQUESTS = [
    messages.Down(),
    messages.Status(),
    messages.Check(names=["a", "b"]),
    messages.Console(node="pc"),
    messages.Follow(nodes=["pc"]),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.op)
def test_requests_survive_the_way(request_: messages.Request) -> None:
    line = messages.emit(request_)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert messages.parse_request(line) == request_


@given(st.text(), st.lists(st.text()))
def test_events_survive_the_way_on_one_line(text: str, lines: list[str]) -> None:
    event = Event(
        kind="check",
        text=text.encode("utf-8", "replace").decode(),
        lines=[line.encode("utf-8", "replace").decode() for line in lines],
    )
    line = messages.emit(event)
    assert line.count(b"\n") == 1
    assert messages.parse_event(line) == event


@pytest.mark.fuzz
@given(st.binary(max_size=300))
def test_random_octets_are_a_wire_error(octets: bytes) -> None:
    """Random octets are no request and no event, and raise nothing else."""
    for parse in (messages.parse_request, messages.parse_event):
        with pytest.raises(WireError):
            parse(octets)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["op", "lab", "nodes", "name", "kind", "seed", "checks", "images"]), inner)
    ),
    max_leaves=20,
)


@pytest.mark.fuzz
@given(st.sampled_from(["up", "down", "status", "plan", "check", "console", "follow", "x"]), JSON)
def test_random_json_is_a_request_or_a_wire_error(op: str, value: object) -> None:
    """Whatever JSON: a request that follows the models, or WireError."""
    import json

    document = {**value, "op": op} if isinstance(value, dict) else value
    try:
        request = messages.parse_request(json.dumps(document).encode())
    except WireError:
        return
    assert messages.parse_request(messages.emit(request)) == request


@given(st.lists(st.binary(max_size=20).map(lambda octets: octets.replace(b"\n", b"x"))), st.binary(max_size=9))
def test_lines_are_the_same_in_one_piece_and_octet_by_octet(lines: list[bytes], rest: bytes) -> None:
    octets = b"".join(line + b"\n" for line in lines) + rest.replace(b"\n", b"")

    async def read(pieces: list[bytes]) -> list[bytes]:
        ours, theirs = trio.testing.memory_stream_one_way_pair()
        found = []
        for piece in pieces:
            await ours.send_all(piece)
        reader = LineReader(theirs, 100)
        for _ in lines:
            line = await reader.line()
            assert line is not None
            found.append(line)
        return found

    assert trio.run(read, [octets]) == lines
    assert trio.run(read, [octets[i : i + 1] for i in range(len(octets))]) == lines


async def test_a_line_that_is_too_long_or_cut_off() -> None:
    for octets in (b"x" * 200, b"cut off"):
        ours, theirs = trio.testing.memory_stream_one_way_pair()
        await ours.send_all(octets)
        await ours.aclose()
        with pytest.raises(WireError):
            await LineReader(theirs, 100).line()


async def test_the_end_and_the_rest() -> None:
    ours, theirs = trio.testing.memory_stream_one_way_pair()
    await ours.send_all(b"line\nwhat follows")
    reader = LineReader(theirs, 100)
    assert await reader.line() == b"line"
    assert reader.rest() == b"what follows"
    assert reader.rest() == b""
    await ours.aclose()
    assert await reader.line() is None
