from hypothesis import given
from hypothesis import strategies as st

from emulators.guest.chance import Seeded


@given(st.lists(st.integers(0, 300), max_size=20))
def test_the_stream_is_the_same_however_it_is_read(counts: list[int]) -> None:
    one, other = Seeded("x"), Seeded("x")
    assert b"".join(one.octets(count) for count in counts) == other.octets(sum(counts))


def test_another_seed_is_another_stream() -> None:
    streams = {Seeded(seed).octets(64) for seed in ("", "1", "2", "12")}
    assert len(streams) == 4
    assert len(set(Seeded("").octets(6400))) == 256
