"""Numbers as the C library reads them."""

import contextlib
import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.console.arguments import INT_MAX, INT_MIN, atoi, integers, scan_integers
from vde.errors import Refused

LIBC = ctypes.CDLL(None)


@given(st.text(alphabet=" \t+-0123456789xabF.,", max_size=8) | st.text(max_size=12).filter(lambda t: "\0" not in t))
def test_atoi_is_that_of_the_c_library(text: str) -> None:
    assert atoi(text) == LIBC.atoi(text.encode(errors="surrogatepass"))


@given(st.text(alphabet=" \t+-0123456789xXabF.,", max_size=12))
def test_integers_are_those_of_scanf(text: str) -> None:
    numbers = [ctypes.c_int(-77), ctypes.c_int(-77)]
    found = LIBC.sscanf(text.encode(), b"%i %i", *(ctypes.byref(number) for number in numbers))
    try:
        ours: tuple[int, ...] = integers(text, 2, "A B")
    except Refused:
        assert found < 2
    else:
        assert (found, ours) == (2, tuple(number.value for number in numbers))


@pytest.mark.parametrize(
    ("text", "expected"), [("99999999999", INT_MAX), ("-99999999999", INT_MIN), ("9" * 4000, INT_MAX)]
)
def test_what_does_not_fit_becomes_the_nearest_that_does(text: str, expected: int) -> None:
    assert atoi(text) == expected
    assert integers(text, 1, "N") == (expected,)


def test_what_follows_is_told() -> None:
    assert scan_integers("0x10 nobody ", 1, "N user") == ((16,), " nobody ")
    with pytest.raises(Refused, match=r"N PORT was expected, 2 numbers; found 1"):
        integers("5", 2, "N PORT")


@pytest.mark.fuzz
@given(st.text(max_size=200))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    assert INT_MIN <= atoi(text) <= INT_MAX
    with contextlib.suppress(Refused):
        assert all(INT_MIN <= number <= INT_MAX for number in integers(text, 3, "A B C"))
