"""agno://: the cipher with a captured frame, the key file, the clock."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugs.agno import read_key, read_type
from plugs.parts.agno_cipher import AgnoCipher, Header, longest_within, parse
from tests.plugs.memory_link import MemorySurroundings, memory_links
from vde.errors import ConfigError, WireError

KEY = bytes(range(16))
ADDRESSES = bytes.fromhex("020202020202020202020201")
FRAME = ADDRESSES + b"\x08\x00" + bytes(range(46))
TIME_S = 0x6B029A39
OUTER = b"\xa6\xde"
CIPHER = AgnoCipher(KEY)


def test_the_header_is_as_captured_from_the_original() -> None:
    block = bytes.fromhex("0800020061676e6f6b029a395dae7a08")
    assert parse(block) == Header(b"\x08\x00", 2, TIME_S, bytes.fromhex("5dae7a08"))
    assert parse(block).emit() == block


def test_a_frame_of_60_octets_becomes_one_of_78() -> None:
    sealed = CIPHER.seal(FRAME, OUTER, TIME_S, b"1234")
    assert len(sealed) == 78
    assert sealed[:14] == ADDRESSES + OUTER
    assert CIPHER.open(sealed, TIME_S) == FRAME
    assert len(CIPHER.seal(FRAME[:47], OUTER, TIME_S, b"1234")) == 78


def test_the_same_frame_twice_looks_different() -> None:
    one, other = (CIPHER.seal(FRAME, OUTER, TIME_S, chance) for chance in (b"1234", b"1235"))
    assert one[14:30] != other[14:30]
    assert one[30:46] != other[30:46]


@pytest.mark.parametrize(("age", "accepted"), [(-2, False), (-1, True), (0, True), (2, True), (3, False)])
@pytest.mark.parametrize("time_s", [TIME_S, 0xFFFFFFFF, 1 << 32])
def test_a_frame_is_of_its_time(age: int, accepted: bool, time_s: int) -> None:
    found = CIPHER.open(CIPHER.seal(FRAME, OUTER, time_s, b"1234"), time_s + age)
    assert found == (FRAME if accepted else "time")


def test_another_key_and_octets_that_are_no_agno_frame() -> None:
    assert AgnoCipher(bytes(16)).open(CIPHER.seal(FRAME, OUTER, TIME_S, b"1234"), TIME_S) == "key"
    assert CIPHER.open(FRAME, TIME_S) == "key"
    assert CIPHER.open(FRAME[:29], TIME_S) == "short"


def test_what_the_network_added_is_cut_off() -> None:
    assert CIPHER.open(CIPHER.seal(FRAME, OUTER, TIME_S, b"1234") + bytes(7), TIME_S) == FRAME


def test_padding_of_a_frame_without_payload_is_refused() -> None:
    header = Header(b"\x08\x00", 5, TIME_S, b"1234").emit()
    assert CIPHER.open(ADDRESSES + OUTER + CIPHER._encrypt_block(header), TIME_S) == "short"


@given(st.binary(max_size=200), st.integers(0, 1 << 33), st.binary(min_size=4, max_size=4))
def test_what_is_sealed_is_opened(payload: bytes, time_s: int, random: bytes) -> None:
    frame = ADDRESSES + b"\x12\x34" + payload
    sealed = CIPHER.seal(frame, OUTER, time_s, random)
    assert CIPHER.open(sealed, time_s) == frame
    assert len(frame) <= longest_within(len(sealed))


@given(st.integers(30, 9234))
def test_the_longest_frame_just_fits(octets: int) -> None:
    longest = longest_within(octets)
    assert len(CIPHER.seal(bytes(longest), OUTER, 0, b"1234")) <= octets
    assert len(CIPHER.seal(bytes(longest + 1), OUTER, 0, b"1234")) > octets


@pytest.mark.fuzz
@given(st.binary(max_size=120), st.binary(max_size=16), st.integers(-1, 20))
def test_random_octets_are_a_frame_or_a_reason(octets: bytes, block: bytes, padding: int) -> None:
    """Whatever comes, also behind a header that is right, the answer is a frame of at least 14 octets or a reason."""
    header = Header(b"\x08\x00", max(padding, 0), TIME_S, b"1234").emit()
    for candidate in (octets, ADDRESSES + OUTER + CIPHER._encrypt_block(header) + octets):
        found = CIPHER.open(candidate, TIME_S)
        assert found in ("key", "time", "short") if isinstance(found, str) else len(found) >= 14
    try:
        parse(block)
    except WireError:
        assert block[4:8] != b"agno" or len(block) < 16


@pytest.mark.parametrize(
    ("text", "key", "has_a"),
    [
        ("000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f", False),
        ("01:02-03\nxyz 04", "01020304" + "00" * 12, False),
        ("012", "0120" + "00" * 14, False),
        ("A1B2aF" + "00" * 20, "11b2af" + "00" * 13, True),
        ("0102030405060708090a0b0c0d0e0f10" + "A", "0102030405060708090a0b0c0d0e0f10", False),
    ],
)
def test_keys_are_read_as_the_original_does(text: str, key: str, has_a: bool) -> None:
    assert read_key(text) == (bytes.fromhex(key), has_a)


def test_the_option_ethtype() -> None:
    assert [read_type(text) for text in ("0x88b6", "34998", "ipv4", "ipv6")] == [0x88B6, 0x88B6, 0x800, 0x86DD]
    assert [read_type(text) for text in ("copy", "rand")] == ["copy", "rand"]
    for text in ("88b6", "0x5ff", "0xffff", "foo", ""):
        with pytest.raises(ConfigError, match="ethtype"):
            read_type(text)


@pytest.mark.parametrize(
    ("option", "expected"), [("", "a6de"), ("[ethtype=copy]", "0800"), ("[ethtype=ipv6]", "86dd"), ("[e=4660]", "1234")]
)
async def test_what_the_network_sees(short_path: Path, option: str, expected: str) -> None:
    one, other = memory_links()
    (short_path / "key").write_text(KEY.hex())
    here = MemorySurroundings(one=one)
    async with here.open(f"agno://{short_path}/key{option}{{memory://one}}") as link:
        await link.send([FRAME])
        (sealed,) = await other.receive()
        assert sealed[12:14].hex() == expected
        assert CIPHER.open(sealed, here.wall_ns() // 10**9) == FRAME


async def test_random_types_differ(short_path: Path) -> None:
    one, other = memory_links()
    (short_path / "key").write_text(KEY.hex())
    async with MemorySurroundings(one=one).open(f"agno://{short_path}/key[ethtype=rand]{{memory://one}}") as link:
        await link.send([FRAME] * 50)
        types = {int.from_bytes(sealed[12:14]) for sealed in await other.receive()}
        assert len(types) > 40
        assert all(0x600 <= ethertype <= 0xFFFE for ethertype in types)


async def test_clocks_that_differ_are_counted(short_path: Path) -> None:
    one, other = memory_links()
    (short_path / "key").write_text(KEY.hex())
    early, late = MemorySurroundings(one=one), MemorySurroundings(other=other)
    late.wall_offset_ns = 5 * 10**9
    vnl = f"agno://{short_path}/key{{memory://%s}}"
    async with early.open(vnl % "one") as link, late.open(vnl % "other") as outside:
        await link.send([FRAME])  # five seconds ago, for the other
        early.wall_offset_ns = late.wall_offset_ns
        await link.send([FRAME[:50]])
        assert await outside.receive() == [FRAME[:50]]
        assert outside.statistics().dropped_in == {"time": 1}


@pytest.mark.parametrize(
    ("text", "address", "message"),
    [
        ("", "{home}/key", "32 hexadecimal digits"),
        ("00", "{home}/none", "No such file"),
        ("00", "key", "absolute path"),
    ],
)
async def test_a_key_that_cannot_be_had(short_path: Path, text: str, address: str, message: str) -> None:
    (short_path / "key").write_text(text)
    with pytest.raises(ConfigError, match=message):
        async with MemorySurroundings(one=memory_links()[0]).open(
            f"agno://{address.format(home=short_path)}{{memory://one}}"
        ):
            pass


async def test_the_default_key_and_what_is_told_of_it(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(short_path))
    (short_path / ".vde_agno_key").write_text("Ab" * 16)
    (short_path / ".vde_agno_key").chmod(0o644)
    here = MemorySurroundings(one=memory_links()[0])
    async with here.open("agno://{memory://one}"):
        pass
    assert ["counts as 1" in text for text in here.warnings] == [True, False]
    assert "everybody can read" in here.warnings[1]
