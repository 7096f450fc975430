"""GNU `getopt_long_only`, as far as vde_switch's command line shows it (getopt_long(3)).

Long options work with one or two dashes and may be cut to any unambiguous beginning; `-sDIR`, `-s DIR`, `--sock=DIR`
and `-sock DIR` are the same; short flags may be joined (`-xd`); options and arguments may be mixed; `--` ends the
options. Mistakes (unknown, ambiguous, missing or superfluous argument) are told in getopt's words and skipped, because
scripts for vde_switch rely on being able to pass options that it does not know.

Python's `getopt` and `argparse` know neither the single-dash long options nor this leniency.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its long names (the first is its key), a short letter or "", and its argument's name or ""."""

    names: tuple[str, ...]
    short: str
    argument: str
    help: str

    @property
    def key(self) -> str:
        """What results are filed under."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Result:
    """`options`: (key, argument or "") in the order given. `arguments`: the rest. `complaints`: getopt's sentences."""

    options: list[tuple[str, str]]
    arguments: list[str]
    complaints: list[str]


def parse(table: Sequence[Option], argv: Sequence[str]) -> Result:
    """Parse `argv` (without the program's name)."""
    return _Parser(table, argv).run()


class _Parser:
    def __init__(self, table: Sequence[Option], argv: Sequence[str]) -> None:
        self._by_name = {name: option for option in table for name in option.names}
        self._by_letter = {option.short: option for option in table if option.short}
        self._rest = list(argv)
        self._result = Result([], [], [])

    def run(self) -> Result:
        while self._rest:
            word = self._rest.pop(0)
            if word == "--":
                self._result.arguments.extend(self._rest)
                break
            if word.startswith("--"):
                self._long(word, word[2:], "--")
            elif word.startswith("-") and len(word) > 1:
                self._one_dash(word)
            else:
                self._result.arguments.append(word)
        return self._result

    def _one_dash(self, word: str) -> None:
        name = word[1:].split("=", 1)[0]
        is_letter = len(word) == 2 and word[1] in self._by_letter
        if not is_letter and (name in self._by_name or self._candidates(name) or word[1] not in self._by_letter):
            self._long(word, word[1:], "-")
        else:
            self._letters(word[1:])

    def _candidates(self, beginning: str) -> list[str]:
        return [name for name in self._by_name if name.startswith(beginning)]

    def _long(self, word: str, body: str, dashes: str) -> None:
        name, equals, argument = body.partition("=")
        option = self._by_name.get(name)
        if option is None:
            candidates = self._candidates(name)
            options = {self._by_name[candidate].key for candidate in candidates}
            if not options:
                self._complain(f"unrecognized option '{dashes}{name}'")
                return
            if len(options) > 1:
                possible = " ".join(f"'{dashes}{candidate}'" for candidate in candidates)
                self._complain(f"option '{word}' is ambiguous; possibilities: {possible}")
                return
            option = self._by_name[candidates[0]]
        if not option.argument:
            if equals:
                self._complain(f"option '{dashes}{name}' doesn't allow an argument")
                return
        elif not equals:
            if not self._rest:
                self._complain(f"option '{dashes}{name}' requires an argument")
                return
            argument = self._rest.pop(0)
        self._result.options.append((option.key, argument))

    def _letters(self, letters: str) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self._by_letter.get(letter)
            if option is None:
                self._complain(f"invalid option -- '{letter}'")
            elif not option.argument:
                self._result.options.append((option.key, ""))
            elif letters or self._rest:
                self._result.options.append((option.key, letters or self._rest.pop(0)))
                return
            else:
                self._complain(f"option requires an argument -- '{letter}'")

    def _complain(self, sentence: str) -> None:
        self._result.complaints.append(sentence)
