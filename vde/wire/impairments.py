"""What may be set on one direction of a wire (or on a rule of it), and how it is written.

| setting              | value               | meaning                                                          |
|----------------------|---------------------|------------------------------------------------------------------|
| `delay`              | duration            | of every frame                                                   |
| `jitter`             | duration            | random part of the delay, more or less                           |
| `jitter-correlation` | share               | of one frame's jitter with the last one's                        |
| `distribution`       | name, or path of a table | the jitter's shape: `distribution.py`                            |
| `keep-order`         | `yes`, `no`         | jitter does not let frames overtake one another                  |
| `loss`               | see `loss.py`       | `1%`, `1%,25%`, `burst:…`, `gilbert:…`, `state:…`                |
| `duplicate`          | share[,correlation] | a second copy, with jitter and corruption of its own             |
| `corrupt`            | share[,correlation] | of frames that have one bit inverted                             |
| `ber`                | chance              | bit error rate: of bits that are inverted                        |
| `reorder`            | share[,correlation] | of frames that are not delayed, and so overtake those that are   |
| `gap`                | count               | only every gap-th frame may be reordered (1: every)              |
| `rate`               | rate                | at which frames leave                                            |
| `burst`              | size                | what may leave at once after a pause                             |
| `overhead`           | size, may be negative | added to each frame for the rate (24B: preamble, FCS, gap)       |
| `trace`              | path                | bandwidth over time, instead of `rate`: `trace.py`               |
| `queue`              | size                | of the frames that wait for the rate; longer: `discipline`       |
| `queue-frames`       | count               | the same, in frames (1000 unless said otherwise)                 |
| `discipline`         | `tail-drop`, `codel` | `codel` (RFC 8289) drops at the head when the queue stands       |
| `codel-target`       | duration            | 5ms                                                              |
| `codel-interval`     | duration            | 100ms                                                            |
| `mtu`                | size                | longer frames are lost; Ethernet header included, FCS not        |

`none` as a value takes a setting back. Quantities need units (`units.py`). Files are read by whoever parses, once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from vde.errors import ConfigError
from vde.wire import codel, distribution, units
from vde.wire.distribution import Distribution, parse_table
from vde.wire.loss import Loss, parse_loss
from vde.wire.trace import Trace, parse_trace

QUEUE_FRAMES = 1000  # netem's
Read = Callable[[str], str]
"""The text of the file of this path; raises `ConfigError`."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of frames, chosen at random, perhaps with a correlation between neighbours."""

    probability: float
    correlation: float = 0.0

    def __str__(self) -> str:
        text = units.format_share(self.probability)
        return f"{text},{units.format_share(self.correlation)}" if self.correlation else text


@dataclass(frozen=True, slots=True)
class Impairments:
    """One direction's settings. None and 0: nothing of that kind."""

    delay_ns: int = 0
    jitter_ns: int = 0
    jitter_correlation: float = 0.0
    distribution: Distribution = Distribution()  # noqa: RUF009 - frozen
    keep_order: bool = False
    loss: Loss | None = None
    duplicate: Share | None = None
    corrupt: Share | None = None
    ber: float = 0.0
    reorder: Share | None = None
    gap: int = 1
    rate_bit_s: int | None = None
    burst_octets: int = 0
    overhead_octets: int = 0
    trace: Trace | None = None
    queue_octets: int | None = None
    queue_frames: int = QUEUE_FRAMES
    discipline: str = "tail-drop"
    codel_target_ns: int = codel.TARGET_NS
    codel_interval_ns: int = codel.INTERVAL_NS
    mtu_octets: int | None = None

    @property
    def impairs(self) -> bool:
        """Does it do anything to a frame?"""
        return (
            bool(self.delay_ns or self.jitter_ns or self.ber)
            or self.loss is not None
            or self.duplicate is not None
            or self.corrupt is not None
            or self.rate_bit_s is not None
            or self.trace is not None
            or self.mtu_octets is not None
        )

    def settings(self) -> dict[str, str]:
        """Those that differ from nothing, as `merge` reads them."""
        nothing = Impairments()
        return {
            name: setting.show(value)
            for name, setting in SETTINGS.items()
            if (value := getattr(self, setting.field)) != getattr(nothing, setting.field)
        }


@dataclass(frozen=True, slots=True)
class Setting:
    """How one field of `Impairments` is written."""

    field: str
    syntax: str
    parse: Callable[[str, Read], Any]
    show: Callable[[Any], str]
    help: str


def _plain(parse: Callable[[str], Any]) -> Callable[[str, Read], Any]:
    return lambda text, read: parse(text)


def _parse_share(text: str) -> Share:
    words = [word.strip() for word in text.split(",")]
    if len(words) > 2:
        raise ConfigError(f"{text[:64]!r}: SHARE or SHARE,CORRELATION, such as 1% or 1%,25%, was expected")
    return Share(*[units.parse_share(word) for word in words])


def _parse_yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ConfigError(f"{text[:64]!r}: yes or no was expected")
    return text == "yes"


def _parse_discipline(text: str) -> str:
    if text not in ("tail-drop", "codel"):
        raise ConfigError(f"{text[:64]!r}: tail-drop or codel was expected")
    return text


def _parse_overhead(text: str) -> int:
    octets = units.parse_octets(text.removeprefix("-"))
    if octets > 1 << 16:
        raise ConfigError(f"{text!r}: at most 64KiB was expected")
    return -octets if text.startswith("-") else octets


def _show_overhead(octets: int) -> str:
    return ("-" if octets < 0 else "") + units.format_octets(abs(octets))


def _parse_distribution(text: str, read: Read) -> Distribution:
    if text in distribution.NAMES:
        return Distribution(text)
    if "/" not in text and not text.endswith(".dist"):
        names = ", ".join(distribution.NAMES)
        raise ConfigError(f"{text[:64]!r}: {names} or the path of a table (NAME.dist) was expected")
    return parse_table(text, read(text))


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _at_least_one(text: str) -> int:
    return units.parse_count(text, 1)


def _positive_ns(text: str) -> int:
    value = units.parse_duration_ns(text)
    if not value:
        raise ConfigError(f"{text!r}: more than nothing was expected")
    return value


_ns, _oct = units.format_duration, units.format_octets
SETTINGS: Final[dict[str, Setting]] = {
    "delay": Setting("delay_ns", "TIME", _plain(units.parse_duration_ns), _ns, "of every frame: 40ms"),
    "jitter": Setting("jitter_ns", "TIME", _plain(units.parse_duration_ns), _ns, "random part of the delay: 5ms"),
    "jitter-correlation": Setting(
        "jitter_correlation", "SHARE", _plain(units.parse_share), units.format_share, "with the last frame's: 25%%"
    ),
    "distribution": Setting(
        "distribution",
        "SHAPE",
        _parse_distribution,
        lambda shape: str(shape.name),
        "of the jitter: uniform, normal, pareto, paretonormal, or a netem table's FILE.dist",
    ),
    "keep-order": Setting("keep_order", "yes|no", _plain(_parse_yes), _yes_or_no, "jitter lets no frame overtake"),
    "loss": Setting(
        "loss",
        "LOSS",
        _plain(parse_loss),
        str,
        "1%% · 1%%,CORRELATION · burst:P,MEAN · gilbert:P,R,… · state:P13,…",
    ),
    "duplicate": Setting("duplicate", "SHARE", _plain(_parse_share), str, "of frames that come twice: 1%%"),
    "corrupt": Setting("corrupt", "SHARE", _plain(_parse_share), str, "of frames that have one bit inverted"),
    "ber": Setting("ber", "RATE", _plain(units.parse_chance), units.format_chance, "bit error rate: 1e-6"),
    "reorder": Setting("reorder", "SHARE", _plain(_parse_share), str, "of frames that are not delayed"),
    "gap": Setting("gap", "N", _plain(_at_least_one), str, "only every N-th frame may be reordered"),
    "rate": Setting("rate_bit_s", "RATE", _plain(units.parse_rate_bit_s), units.format_rate, "of the link: 1Mbit"),
    "burst": Setting("burst_octets", "SIZE", _plain(units.parse_octets), _oct, "may leave at once after a pause"),
    "overhead": Setting(
        "overhead_octets", "SIZE", _plain(_parse_overhead), _show_overhead, "of each frame on the link: 24B"
    ),
    "trace": Setting(
        "trace",
        "FILE",
        lambda text, read: parse_trace(text, read(text)),
        lambda trace: str(trace.name),
        "bandwidth over time, in Mahimahi's format",
    ),
    "queue": Setting("queue_octets", "SIZE", _plain(units.parse_octets), _oct, "most that wait for the rate"),
    "queue-frames": Setting("queue_frames", "N", _plain(units.parse_count), str, "the same in frames (1000)"),
    "discipline": Setting("discipline", "NAME", _plain(_parse_discipline), str, "of the queue: tail-drop, codel"),
    "codel-target": Setting("codel_target_ns", "TIME", _plain(_positive_ns), _ns, "5ms"),
    "codel-interval": Setting("codel_interval_ns", "TIME", _plain(_positive_ns), _ns, "100ms"),
    "mtu": Setting("mtu_octets", "SIZE", _plain(units.parse_octets), _oct, "longest frame, header included: 1514B"),
}
ALIASES: Final = {"corruption": "corrupt", "duplication": "duplicate", "reordering": "reorder", "bandwidth": "rate"}


def no_files(path: str) -> str:
    """A `Read` for where files are not possible."""
    raise ConfigError(f"{path}: files cannot be read here")


def merge(old: Impairments, given: Mapping[str, str], read: Read = no_files) -> Impairments:
    """`old` with the given settings changed; rate displaces trace and the other way round.

    Raises:
        ConfigError: a name or value is not possible, or settings exclude one another; all complaints in one.
    """
    nothing = Impairments()
    changed: dict[str, Any] = {}
    complaints: list[str] = []
    for name, text in given.items():
        name = ALIASES.get(name, name)
        setting = SETTINGS.get(name)
        if setting is None:
            complaints.append(f"{name[:64]!r} is no impairment: {', '.join(SETTINGS)}")
        elif not isinstance(text, str):
            complaints.append(f"{name}: {text!r}: a text with its unit was expected")
        elif text == "none":
            changed[setting.field] = getattr(nothing, setting.field)
        else:
            try:
                changed[setting.field] = setting.parse(text, read)
            except ConfigError as error:
                complaints.append(f"{name}: {error}")
    if changed.get("rate_bit_s") and changed.get("trace"):
        complaints.append("rate and trace exclude one another")
    if complaints:
        raise ConfigError("; ".join(complaints))
    if changed.get("rate_bit_s"):
        changed.setdefault("trace", None)
    if changed.get("trace"):
        changed.setdefault("rate_bit_s", None)
    new = replace(old, **changed)
    if new.reorder is not None and not (new.delay_ns or new.jitter_ns):
        raise ConfigError("reorder wants a delay, which reordered frames do not have")
    return new


assert {setting.field for setting in SETTINGS.values()} == {field.name for field in fields(Impairments)}
