"""The registration request: octets of real clients, and everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vde.errors import WireError
from vde.registration import MOST_OCTETS, Request, emit_reply, parse

LIBVDEPLUG = bytes.fromhex("cefaedfe 03000000 00000000 0100") + b"/run/vd/sw1.ctl/.12093-00000".ljust(108, b"\0")
QEMU = bytes.fromhex("cefaedfe 03000000 00050000 0100") + b"/run/vd/q.ctl/.16762-00000".ljust(108, b"\0")
UML_NAME = (bytes.fromhex("00000000 074a0000 aa3e0300") + bytes(20) + bytes.fromhex("800b456c")).ljust(108, b"\0")
UML = bytes.fromhex("cefaedfe 03000000 00000000 0100") + UML_NAME + b"\0\0"


def test_libvdeplug_asks_for_any_port_and_describes_itself() -> None:
    wish = parse(LIBVDEPLUG + b"vdeplug: user=root pid=12093")
    assert wish == Request(0, False, b"/run/vd/sw1.ctl/.12093-00000", "vdeplug: user=root pid=12093")
    assert wish.emit() == LIBVDEPLUG + b"vdeplug: user=root pid=12093"


def test_qemu_asks_for_port_5() -> None:
    assert parse(QEMU + b"QEMU user=root pid=16762").port == 5


def test_user_mode_linux_sends_124_octets_and_an_abstract_name_that_counts_whole() -> None:
    wish = parse(UML)
    assert wish.address == UML_NAME
    assert wish.description == ""


def test_version_1_has_its_type_where_others_have_the_version() -> None:
    address = (b"\x01\x00" + b"/tmp/x").ljust(110, b"\0")
    wish = parse(bytes.fromhex("cefaedfe 01000000 020000000001") + address + b"uml")
    assert wish == Request(0, True, b"/tmp/x", "uml")


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (LIBVDEPLUG[:121], "121 octets"),
        (b"\0" * 122, "V0 request not supported"),
        (LIBVDEPLUG[:4] + b"\x02" + LIBVDEPLUG[5:], "version 2 port"),
        (LIBVDEPLUG[:8] + b"\x07" + LIBVDEPLUG[9:], "Bad request type : 7"),
        (LIBVDEPLUG[:12] + b"\x02" + LIBVDEPLUG[13:], "address family is 2"),
        (LIBVDEPLUG[:4] + bytes(118), "at least 124"),
    ],
)
def test_what_is_wrong_is_said(octets: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parse(octets)


@pytest.mark.fuzz
@given(st.binary(max_size=MOST_OCTETS + 50))
def test_random_octets_give_a_request_or_a_wire_error(octets: bytes) -> None:
    try:
        wish = parse(octets)
    except WireError:
        return
    assert 0 <= wish.port < 1 << 24
    assert len(wish.address) <= 108


@given(
    st.builds(
        Request,
        st.integers(0, (1 << 24) - 1),
        st.booleans(),
        st.binary(min_size=1, max_size=107).filter(lambda name: 0 not in name),
        st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=128),
    )
)
def test_a_request_survives_the_wire(wish: Request) -> None:
    assert parse(wish.emit()) == wish


def test_the_reply_has_exactly_110_octets() -> None:
    reply = emit_reply("/run/vd/sw1.ctl/001.6")
    assert reply == b"\x01\0" + b"/run/vd/sw1.ctl/001.6".ljust(108, b"\0")
    with pytest.raises(WireError, match="at most 107"):
        emit_reply("/" + "x" * 107)
