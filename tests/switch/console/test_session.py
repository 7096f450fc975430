"""The dialogue: lines, framing, prompts, limits, and what hostile input does to it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.console.call import Kind
from switch.console.commands import add_all
from switch.console.registry import Registry
from switch.console.session import EVENT_OCTETS, FRAGMENT_NS, LINE_OCTETS, PROMPT, REPLY_OCTETS, Session
from tests.switch.console.rig import Rig, open_rig

SUCCESS = b"1000 Success\n" + PROMPT
UNKNOWN = b"1038 Function not implemented\n" + PROMPT


def test_banner_and_prompt_are_one_segment(rig: Rig) -> None:
    banner = rig.session.greeting()
    assert banner.startswith(b"VDE switch V.2.3.2\nvde-fabric ")
    assert banner.endswith(b"\n\nvde$ ")
    assert banner.count(b"\n") == 3


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"\n", PROMPT),
        (b"  \t \n", PROMPT),
        (b"# a comment\n", PROMPT),
        (b"  # another\n", PROMPT),
        (b"\0vlan/create 7\n", PROMPT),
        (b"\r\n", UNKNOWN),
        (b"port\n", UNKNOWN),
        (b"bogus\n", UNKNOWN),
        (b"\xff\xfe\n", UNKNOWN),
        (b"\t vlan/create \t 12\n", SUCCESS),
        (b"vlan/create12\n", SUCCESS),
        (b"vlan/create 12\0garbage\n", SUCCESS),
        (b"vlan/create 12\r\n", SUCCESS),
    ],
)
def test_a_line_and_its_answer(rig: Rig, line: bytes, answer: bytes) -> None:
    assert rig.say(line) == answer


def test_a_command_that_fails_is_framed_like_one_that_succeeds(rig: Rig) -> None:
    assert rig.say(b"port/print 9\n") == (b"0000 DATA END WITH '.'\n.\n1006 No such device or address\n" + PROMPT)
    assert rig.say(b"port/create 99\n") == b"1022 Invalid argument\n" + PROMPT


def test_several_lines_in_one_segment_are_several_commands(rig: Rig) -> None:
    assert rig.say(b"vlan/create 8\nvlan/create 9\nvlan/cre") == SUCCESS + SUCCESS
    assert rig.say(b"ate 10\n") == SUCCESS
    assert sorted(rig.switch.vlans) == [0, 8, 9, 10]


def test_a_fragment_that_nothing_follows_is_a_line(rig: Rig) -> None:
    """vdeterm sends its lines without newlines."""
    for fragment, answer in ((b"vlan/create 8", SUCCESS), (b"bogus", UNKNOWN), (b"x" * LINE_OCTETS, UNKNOWN)):
        assert rig.say(fragment) == b""
        assert rig.session.next_deadline() == rig.now_ns + FRAGMENT_NS
        rig.now_ns += FRAGMENT_NS - 1
        assert rig.session.handle_timer(rig.now_ns) == b""
        rig.now_ns += 1
        assert rig.session.handle_timer(rig.now_ns) == answer
        assert rig.session.next_deadline() is None
        assert rig.session.handle_timer(rig.now_ns + FRAGMENT_NS) == b""


def test_a_fragment_that_is_continued_in_time_is_one_line(rig: Rig) -> None:
    for fragment in (b"vlan", b"/create ", b"9"):
        assert rig.say(fragment) == b""
        assert rig.session.next_deadline() == rig.now_ns + FRAGMENT_NS
        rig.now_ns += FRAGMENT_NS - 1
    assert rig.say(b"\n") == SUCCESS
    assert rig.session.next_deadline() is None
    assert sorted(rig.switch.vlans) == [0, 9]


def test_what_follows_a_newline_waits_for_its_own(rig: Rig) -> None:
    assert rig.say(b"vlan/create 8\nvlan/create 1") == SUCCESS
    assert rig.session.next_deadline() is None
    rig.wait(10)
    assert rig.say(b"2") == b""
    assert rig.session.next_deadline() is None
    assert rig.say(b"\n") == SUCCESS
    assert sorted(rig.switch.vlans) == [0, 8, 12]


def test_the_last_line_before_the_end_needs_no_newline(rig: Rig) -> None:
    assert rig.say(b"vlan/") == b""
    assert rig.say(b"create 8") == b""
    assert rig.session.end_of_input(rig.now_ns) == SUCCESS
    assert rig.session.end_of_input(rig.now_ns) == b""


def test_a_line_that_is_too_long_is_skipped_and_the_next_one_counts(rig: Rig) -> None:
    answer = b"1007 Argument list too long\n" + PROMPT
    assert rig.say(b"vlan/create " + b" " * LINE_OCTETS + b"8\nvlan/create 9\n") == answer + SUCCESS
    for _ in range(3):
        assert rig.say(b"x" * 3000) == b""
    assert rig.say(b"x\nvlan/create 10\n") == answer + SUCCESS
    assert sorted(rig.switch.vlans) == [0, 9, 10]
    longest = b"vlan/create " + b" " * (LINE_OCTETS - 15) + b"11\n"
    assert len(longest) == LINE_OCTETS
    assert rig.say(longest) == SUCCESS


def test_logout_says_goodbye_and_what_follows_is_not_done(rig: Rig) -> None:
    assert rig.say(b"logout\nvlan/create 8\n") == b"9999 END OF SESSION"
    assert rig.session.closed
    assert not rig.session.shutdown_requested
    assert rig.say(b"vlan/create 9\n") == b""
    assert sorted(rig.switch.vlans) == [0]


def test_shutdown_says_goodbye_and_leaves_the_end_to_the_adapter(rig: Rig) -> None:
    assert rig.say(b"shutdown\n") == b"9999 END OF SESSION"
    assert rig.session.closed
    assert rig.session.shutdown_requested
    assert rig.messages == ["Shutdown from mgmt command"]


def test_on_standard_input_there_are_no_prompts_in_the_answers_and_logout_does_nothing(rig: Rig) -> None:
    session = Session(rig.console, Kind.STANDARD_INPUT)
    assert session.receive(b"logout\nvlan/create 8\n\n", 0) == b"1000 Success\n"
    assert (session.prompts, session.closed) == (3, False)
    assert session.receive(b"shutdown\n", 0) == b""
    assert session.shutdown_requested


def test_why_explains_the_last_error(rig: Rig) -> None:
    assert rig.data("why") == []
    rig.do("port/create 99")
    assert rig.data("why") == ["port 99 is out of range: 0 to 32 are possible"]
    rig.do("nonsense")
    assert rig.data("why") == ["'nonsense' is no command: help lists them"]


# Events


def test_events_come_between_answers_and_before_the_status_of_the_command_that_caused_them(rig: Rig) -> None:
    wakes = []
    session = rig.listen("port")
    session.on_event = lambda: wakes.append(1)
    rig.plug(7)
    assert len(wakes) == 1
    assert session.take() == (
        b'3021 port/+ 07\n3031 port/ep/+ Port 07 FD  5\n3023 port/descr Port 07 FD  5 -> "test"\n'
    )
    assert rig.say(b"port/epclose 7 5\n", session) == (
        b"3032 port/ep/- Port 07 FD  5\n3022 port/- 07\n1000 Success\n" + PROMPT
    )
    assert len(wakes) == 1


def test_events_that_wait_are_sent_before_the_next_answer(rig: Rig) -> None:
    session = rig.listen("port/+")
    rig.plug(7)
    assert rig.say(b"\n", session) == b"3021 port/+ 07\n" + PROMPT


def test_a_terminal_that_does_not_read_loses_events_and_is_told_how_many(rig: Rig) -> None:
    session = rig.listen("port/+")
    size = len(b"3021 port/+ 07\n")
    kept = -(-EVENT_OCTETS // size)
    for _ in range(kept + 5):
        rig.switch.events.emit("port/+", "07")
    octets = session.take()
    assert session.events_lost == 5
    assert octets == b"3021 port/+ 07\n" * kept + b"3000 debug/lost 5\n"
    rig.switch.events.emit("port/+", "08")
    assert session.take() == b"3021 port/+ 08\n"


def test_a_session_that_ended_hears_nothing(rig: Rig) -> None:
    session = rig.listen("port")
    session.end()
    rig.plug(7)
    assert session.take() == b""
    assert not rig.switch.events.wanted("port")


# Limits and hostile input


def test_commands_wait_while_answers_are_not_sent(rig: Rig) -> None:
    one = len(rig.say(b"help\n"))
    first = rig.session.receive(b"help\n" * 800, rig.now_ns)
    assert REPLY_OCTETS <= len(first) < REPLY_OCTETS + one
    assert rig.session.unfinished
    assert len(first) + len(rig.say(b"")) == 800 * one


def test_a_client_cannot_forge_lines_or_command_the_terminal_with_its_description(rig: Rig) -> None:
    rig.plug(1, description="x\n.\n1000 Success\n\x1b[2J\u202e\udcff")
    lines = rig.data("port/print 1")
    assert lines[-1] == "  -- endpoint ID 0005 module unix prog   : x\\n.\\n1000 Success\\n\\x1b[2J\\u202e\\xff"
    session = rig.listen("port/descr")
    rig.switch.describe(rig.switch.endpoints[5], "a\nb")
    assert session.take() == b'3023 port/descr Port 01 FD  5 -> "a\\nb"\n'


def _paths() -> list[str]:
    registry = Registry()
    add_all(registry)
    return [entry.path for entry in registry if entry.path not in ("load", "shutdown")]


COMMANDS = st.sampled_from(_paths())
ARGUMENTS = st.one_of(
    st.integers(-3, 70000).map(str),
    st.sampled_from(
        ["", "0", "1 1", "0 1 1", "1 2 3", "1,2 both", "02:00:00:00:00:01", "NONE", "1 root", "dump", "pdump"]
    ),
    st.text(max_size=30),
)
LINES = st.builds(
    lambda a, b, c: f"{a}{b}{c}".encode(errors="surrogatepass"), COMMANDS, st.sampled_from(["", " ", "  "]), ARGUMENTS
)
SCRIPTS = st.lists(st.one_of(LINES, st.binary(max_size=40)), max_size=12).map(
    lambda lines: b"".join(line + b"\n" for line in lines)
)


@given(SCRIPTS, st.lists(st.integers(1, 20)))
def test_cut_in_any_way_it_is_the_same(script: bytes, sizes: list[int]) -> None:
    """Also one octet at a time, which the rest of the script after `sizes` is."""
    with open_rig() as whole, open_rig() as piecemeal:
        expected = whole.say(script)
        answer, offset = b"", 0
        for size in sizes + [1] * len(script):
            answer += piecemeal.say(script[offset : offset + size])
            offset += size
        assert answer == expected
        assert list(piecemeal.switch.vlans.items()) == list(whole.switch.vlans.items())


@pytest.mark.fuzz
@given(st.lists(st.one_of(st.binary(max_size=300), SCRIPTS), max_size=8), st.booleans())
def test_random_octets_in_random_segments_do_nothing_but_answers(segments: list[bytes], stdin: bool) -> None:
    with open_rig(num_ports=8) as rig:
        session = Session(rig.console, Kind.STANDARD_INPUT if stdin else Kind.SOCKET)
        for segment in segments:
            answer = rig.say(segment, session)
            for line in answer.replace(PROMPT, b"").splitlines():
                assert b"\x1b" not in line
        rig.say(b"\n", session)
        if not session.closed:
            assert b"vlan/create" in rig.say(b"help\n", session)


@pytest.mark.fuzz
@given(st.text(max_size=60))
def test_any_argument_of_load_is_answered(argument: str) -> None:
    with open_rig() as rig:
        before = sorted(os.listdir())
        answer = rig.say(b"load \x01" + argument.encode(errors="surrogatepass").replace(b"\n", b"") + b"\n")
        assert answer.startswith(b"10")
        assert sorted(os.listdir()) == before
