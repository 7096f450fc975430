"""Command lines of any words: read, or refused by a sentence; never a traceback, and nothing is opened."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.cli import view, wire
from vde.cli.programs import vdens, wirefilter
from vde.cli.programs.classic import Help
from vde.cli.programs.lasting import read_addresses
from vde.errors import ConfigError, LinkBroken
from vde.wire.client import parse_answer
from vde.wire.model import Start

SHORT = st.text(max_size=12)
_OF_PROGRAMS = """
    - -- -m -s -i -R -r -H -v -M -l -d -N --daemon --mgmtmode 777 vde:///a a:b vde://a:udp://b:1 10.0.0.1 9.9.9.9,::1 5
    LR5 --loss=7 --blink no
"""
_OF_VIEWS = """
    --net --addr --gw --dns --bind --overlay --overlay-tmp --own --hostname --mac --time-offset --ifname --mtu --root
    none vde:///a 10.0.0.1/24 ::1/128 /a:/b:ro -15m 1d 1e400 nan /tmp 9000
"""
WORDS = st.lists(st.sampled_from(_OF_PROGRAMS.split()) | SHORT, max_size=8)
ARGUMENTS = st.lists(st.sampled_from(_OF_VIEWS.split()) | SHORT, max_size=8)
PIECES = st.lists(
    st.sampled_from([*"=:; 0159%", "vlan ", "loss", "delay", "mac ", "dir=lr", "ms", "20s ", "down"]) | SHORT
)


@pytest.mark.fuzz
@given(WORDS)
def test_random_words_are_a_command_line_of_vdens_or_refused(words: list[str]) -> None:
    with contextlib.suppress(ConfigError, Help):
        asked = vdens.read(words, {})
        assert asked.command
        assert len({net.name for net in asked.view.nets}) == len(asked.view.nets)


@pytest.mark.fuzz
@given(WORDS)
def test_random_words_are_a_command_line_of_wirefilter_or_refused(words: list[str]) -> None:
    with contextlib.suppress(ConfigError, Help):
        asked = wirefilter.read(words)
        assert asked.ends is None or len(asked.ends) == 2
        assert 0 <= asked.mgmt_mode <= 0o777


@pytest.mark.fuzz
@given(ARGUMENTS)
def test_random_words_are_a_view_or_refused(words: list[str]) -> None:
    with contextlib.suppress(ConfigError, SystemExit), contextlib.redirect_stderr(None):
        made = view.read_view(view.build_parser().parse_args(view._joined(words)))
        assert made.own_network == ("--net" in words)


@pytest.mark.fuzz
@given(st.lists(SHORT | st.sampled_from(["10.0.0.1/24", "::/0", "1/33", "10.0.0.1"])))
def test_random_addresses_are_read_or_refused(texts: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        assert len(read_addresses(texts)) == len(texts)


@pytest.mark.fuzz
@given(st.lists(PIECES.map("".join), max_size=3), st.lists(PIECES.map("".join), max_size=3))
def test_random_rules_and_schedules_are_a_start_or_refused(rules: list[str], entries: list[str]) -> None:
    options = wire._parser().parse_intermixed_args([])
    options.rule, options.at = rules, entries
    with contextlib.suppress(ConfigError):
        assert isinstance(wire._start(options, []), Start)


@pytest.mark.fuzz
@given(st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b"[" * 100_000, b'{"ok": true}']))
def test_random_octets_are_an_answer_or_no_wires(octets: bytes) -> None:
    with contextlib.suppress(LinkBroken):
        assert isinstance(parse_answer(octets), dict)
