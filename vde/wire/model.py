"""A wire: two directions with their impairments, rules, schedule and states. Sans-I/O.

    wire = Wire("slow", seed="42", now_ns=0, start=Start(both(merge(Impairments(), {"delay": "40ms", "loss": "1%"}))))
    right = wire.directions["left-to-right"]
    right.receive([frame, …], now_ns)             frames come from the left
    right.frames_to_send(now_ns)                  those that are due on the right; until there are none
    wire.next_deadline()                          when to call `handle_timer` and `frames_to_send` again
    wire.handle_timer(now_ns)                     schedule, Markov states
    wire.change(Change("set", …), now_ns)         live control
    wire.why("left-to-right", 1234)               what was decided about the 1234th frame

Theory of operation. Time is `now_ns`, which never steps back; chance is `chance.py`. A frame passes a lane
(`lane.py`): that of the first rule that it fits, or the common one. What is decided for a frame depends on the seed,
the wire's name, the direction, the frame's number, the settings and the times of arrival, and on nothing else: the same
frames at the same times have the same fate.

`set` merges, `set` with `replace` replaces, `reset` returns to what the wire began with, `clear` takes everything away.
`up` and `down` are apart from settings: `reset` and `clear` do not touch them.

Limits (chosen): `MOST_RULES`; see also `delay_line.py`, `verdict.py`, `schedule.py`, `match.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vde.errors import ConfigError
from vde.wire.chance import Chance
from vde.wire.direction import Direction
from vde.wire.impairments import Impairments, Read, merge, no_files
from vde.wire.markov import Markov, State
from vde.wire.match import Match, parse_match
from vde.wire.schedule import DIRECTIONS, Change, Entry, Schedule
from vde.wire.verdict import RING

MOST_RULES = 64
Rules = tuple[tuple[Match, Impairments], ...]


@dataclass(frozen=True)
class Profile:
    """All settings of one direction."""

    impairments: Impairments = Impairments()  # noqa: RUF009 - frozen
    rules: Rules = ()

    def changed(self, change: Change, read: Read) -> "Profile":
        """With a `set` carried out."""
        if change.rule is None:
            old = Impairments() if change.replace else self.impairments
            return Profile(merge(old, dict(change.settings), read), self.rules)
        match = parse_match(change.rule)
        rules = {known.text: (known, impairments) for known, impairments in self.rules}
        old = Impairments() if change.replace or match.text not in rules else rules[match.text][1]
        rules[match.text] = (match, merge(old, dict(change.settings), read))
        if len(rules) > MOST_RULES:
            raise ConfigError(f"at most {MOST_RULES} rules were expected")
        return Profile(self.impairments, tuple(rules.values()))

    def as_json(self) -> dict[str, Any]:
        """Settings as they are written."""
        return {
            "settings": self.impairments.settings(),
            "rules": [{"match": match.text, "settings": impairments.settings()} for match, impairments in self.rules],
        }


@dataclass(frozen=True)
class Start:
    """What a wire begins with, and `reset` returns to."""

    profiles: Mapping[str, Profile] = field(default_factory=lambda: {name: Profile() for name in DIRECTIONS})
    schedule: tuple[Entry, ...] = ()
    markov: Markov | None = None

    def changed(self, change: Change, read: Read = no_files) -> "Start":
        """With a `set` carried out."""
        profiles = dict(self.profiles)
        for name in change.directions:
            profiles[name] = profiles[name].changed(change, read)
        return Start(profiles, self.schedule, self.markov)


class Wire:
    """See the module's text."""

    one_order = False
    """For `native.py`: directions do not wait for one another."""

    def __init__(self, name: str, seed: str, now_ns: int, start: Start | None = None, read: Read = no_files) -> None:
        """`read`: files that later changes name."""
        self.name = name
        self.seed = seed
        self._start = Start() if start is None else start
        self._read = read
        self._origin = now_ns
        self.directions = {side: Direction(side, Chance(seed, name, side), now_ns) for side in DIRECTIONS}
        self._schedule = Schedule(self._start.schedule, now_ns)
        self._state: State | None = None
        self._states = None
        if self._start.markov is not None:
            self._states = self._start.markov.run(Chance(seed, name, "both").numbers("markov"), now_ns)
        self._reset(DIRECTIONS, now_ns)
        if self._states is not None:
            self._enter(self._states.state, now_ns)
        self.handle_timer(now_ns)

    # -- time ---------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int | None:
        """When anything is due: a frame, a queue, the schedule, a state."""
        due = [deadline for side in self.directions.values() if (deadline := side.next_deadline()) is not None]
        if (deadline := self.next_change_ns()) is not None:
            due.append(deadline)
        return min(due, default=None)

    def next_change_ns(self) -> int | None:
        """When `handle_timer` has something to do."""
        due = [self._schedule.next_ns(), None if self._states is None else self._states.next_ns()]
        return min((deadline for deadline in due if deadline is not None), default=None)

    def handle_timer(self, now_ns: int) -> bool:
        """Do what schedule and states have due; was there anything?"""
        done = False
        if self._states is not None:
            while (state := self._states.step(now_ns)) is not None:
                self._enter(state, now_ns)
                done = True
        while (change := self._schedule.take(now_ns)) is not None:
            self.change(change, now_ns)
            done = True
        return done

    # -- control ------------------------------------------------------------------------------------------------------

    def change(self, change: Change, now_ns: int) -> None:
        """Carry a change out, for all its directions or for none.

        Raises:
            ConfigError: a setting is not possible.
        """
        match change.verb:
            case "up" | "down":
                for name in change.directions:
                    self.directions[name].up = change.verb == "up"
            case "reset":
                self._reset(change.directions, now_ns)
            case "clear":
                for name in change.directions:
                    self.directions[name].configure(Impairments(), (), now_ns)
            case "set":
                new = {name: self._profile(name).changed(change, self._read) for name in change.directions}
                for name, profile in new.items():
                    self._configure(name, profile, now_ns)
            case _:
                raise ConfigError(f"{change.verb[:32]!r}: set, reset, clear, up or down was expected")

    @property
    def clear(self) -> bool:
        """Does every frame pass at once and unchanged, in both directions, for as long as nobody changes it?"""
        return all(side.clear for side in self.directions.values())

    def state(self) -> dict[str, Any]:
        """Settings, as JSON."""
        result: dict[str, Any] = {"name": self.name, "seed": self.seed}
        if self._state is not None:
            result["markov_state"] = self._state.name or str(self._state.number)
        for name, side in self.directions.items():
            result[name] = {"up": side.up, **self._profile(name).as_json()}
        return result

    def statistics(self) -> dict[str, Any]:
        """Counters, as JSON."""
        return {"name": self.name, **{name: side.statistics() for name, side in self.directions.items()}}

    def why(self, direction: str, number: int) -> dict[str, Any]:
        """What was decided about a frame, as JSON.

        Raises:
            ConfigError: there was no such frame.
        """
        side = self.directions[direction]
        if not 1 <= number <= side.number:
            raise ConfigError(f"{self.name} {direction}: frame {number}: 1 to {side.number} have come")
        verdict = side.why(number)
        if verdict is None:
            text = f"frame {number} passed unchanged while nothing was set, or is not among the last {RING}"
            return {"direction": direction, "number": number, "known": False, "text": text}
        return {"direction": direction, "known": True, **verdict.as_json()}

    # -- settings -----------------------------------------------------------------------------------------------------

    def _profile(self, name: str) -> Profile:
        side = self.directions[name]
        return Profile(side.impairments, tuple(side.rules))

    def _configure(self, name: str, profile: Profile, now_ns: int) -> None:
        self.directions[name].configure(profile.impairments, profile.rules, now_ns)

    def _reset(self, names: tuple[str, ...], now_ns: int) -> None:
        for name in names:
            self._configure(name, self._start.profiles[name], now_ns)

    def _enter(self, state: State, now_ns: int) -> None:
        self._state = state
        for name, impairments in state.impairments.items():
            side = self.directions[name]
            side.configure(impairments, side.rules, now_ns)
