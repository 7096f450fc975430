"""getopt_long_only's reading of a command line, against what glibc's does."""

import pytest

from switch import getopt
from switch.options import TABLE


def read(*argv: str) -> getopt.Result:
    return getopt.parse(TABLE, argv)


@pytest.mark.parametrize(
    "argv",
    [
        ("-s", "/x"),
        ("-s/x",),
        ("--sock", "/x"),
        ("--sock=/x",),
        ("-sock", "/x"),
        ("-sock=/x",),
        ("-unix", "/x"),
        ("--vdesock=/x",),
        ("--so", "/x"),
    ],
)
def test_one_option_in_all_its_spellings(argv: tuple[str, ...]) -> None:
    result = read(*argv)
    assert result.options == [("sock", "/x")]
    assert result.complaints == []


def test_short_flags_may_be_joined_and_end_in_one_with_an_argument() -> None:
    assert read("-xFs/x").options == [("hub", ""), ("fstp", ""), ("sock", "/x")]


def test_mod_and_mode_and_their_beginnings_are_one_option_not_an_ambiguity() -> None:
    assert read("-mod", "666", "--mo", "600").options == [("mode", "666"), ("mode", "600")]


def test_m_alone_is_the_letter_although_many_long_options_begin_so() -> None:
    assert read("-m", "600").options == [("mode", "600")]


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("--bogus",), "unrecognized option '--bogus'"),
        (("-bogus=1",), "unrecognized option '-bogus'"),
        (("--hub=1",), "option '--hub' doesn't allow an argument"),
        (("--sock",), "option '--sock' requires an argument"),
        (("-s",), "option requires an argument -- 's'"),
        (("-xq",), "invalid option -- 'q'"),
        (("--mgm",), "option '--mgm' is ambiguous; possibilities: '--mgmt' '--mgmtmode' '--mgmtgroup'"),
    ],
)
def test_mistakes_are_told_in_getopts_words_and_the_rest_is_read(argv: tuple[str, ...], complaint: str) -> None:
    result = read("-F", *argv)
    assert result.complaints == [complaint]
    assert ("fstp", "") in result.options


def test_options_and_arguments_mix_until_the_double_dash() -> None:
    result = read("a", "-x", "b", "--", "-F", "c")
    assert result.options == [("hub", "")]
    assert result.arguments == ["a", "b", "-F", "c"]
