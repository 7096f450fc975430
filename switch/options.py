"""The command line of vdeswitch: every option of vde_switch 2.3.2, then ours.

Same names, same defaults, same meaning (vde_switch(1)); `Options` is what the rest of the program sees.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from switch import getopt
from switch.core import HASH_SIZE_MAX, TABLE_LIMIT
from switch.forwarding.choice import Kind
from switch.getopt import Option
from switch.ports import PORT_MAX
from vde.errors import ConfigError, WireError
from vde.frame import MTU_OCTETS, parse_mac

FRAME_OCTETS_MIN, FRAME_OCTETS_MAX = 1518, 65535
QUEUE_FRAMES_MAX = 65536  # chosen

ORIGINAL_OPTIONS = (
    Option(("help",), "h", "", "show this help"),
    Option(("version",), "v", "", "show the version"),
    Option(("numports",), "n", "N", "highest port number (default 32)"),
    Option(("hub",), "x", "", "be a hub: no learning, no VLANs; wins over --fstp"),
    Option(("fstp",), "F", "", "turn the fast spanning tree protocol on"),
    Option(("macaddr",), "", "MAC", "the switch's own address (default 00:ff: and four random octets)"),
    Option(("priority",), "", "N", "spanning tree priority (default 0x8000)"),
    Option(("hashsize",), "", "N", "size of the hash table as hash/print shows it (default 128)"),
    Option(
        ("sock", "vdesock", "unix"),
        "s",
        "DIR",
        "control directory (default /var/run/vde.ctl; /tmp/vde.ctl without root)",
    ),
    Option(("mode", "mod"), "m", "MODE", "octal mode of the sockets (default 0600)"),
    Option(("dirmode",), "", "MODE", "octal mode of the control directory (default 02700)"),
    Option(("group",), "g", "GROUP", "group of the control directory and its sockets"),
    Option(("daemon",), "d", "", "go to the background; the exit status says whether the switch is up"),
    Option(("pidfile",), "p", "FILE", "write the process number to FILE; removed at the end"),
    Option(
        ("rcfile",),
        "f",
        "FILE",
        "console commands to run at start (default ~/.vde2/vde_switch.rc or /etc/vde2/vde_switch.rc)",
    ),
    Option(("mgmt",), "M", "PATH", "management socket: the console for unixterm, vdeterm, vdecmd"),
    Option(("mgmtmode",), "", "MODE", "octal mode of the management socket (default 0600)"),
    Option(("mgmtgroup",), "", "GROUP", "group of the management socket"),
    Option(("debugclients",), "D", "N", "accepted, without effect, as in vde_switch"),
    Option(("tap",), "t", "IF", "a port that is the host's tap interface IF; repeatable"),
)
OWN_OPTIONS = (
    Option(("plug",), "", "VNL[@port]", "a port that is any VNL, kept connected; repeatable; see vde plug --list"),
    Option(("nostdin",), "", "", "in the foreground, do not use standard input as a console"),
    Option(("forwarder",), "", "KIND", "native (Rust, default) or python (the readable reference)"),
    Option(("maxframe",), "", "N", f"longest frame in octets, tags included (default {MTU_OCTETS})"),
    Option(("queue",), "", "N", "frames that wait for a slow receiver, each (default 128)"),
    Option(("vlan-transparent",), "", "", "pass tagged frames of VLANs that are not defined, untouched"),
    Option(("no-offload",), "", "", "taps without offloads: whole checksums, no frames above the MTU"),
    Option(("maxaddresses",), "", "N", f"most learned addresses (default {TABLE_LIMIT})"),
)
TABLE = ORIGINAL_OPTIONS + OWN_OPTIONS


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, checked and completed. Paths are absolute."""

    directory: Path
    mode: int
    dirmode: int
    mac: bytes
    group: str | None = None
    num_ports: int = 32
    hub: bool = False
    fstp: bool = False
    priority: int = 0x8000
    hash_size: int = 128
    daemon: bool = False
    pidfile: Path | None = None
    rcfile: Path | None = None
    mgmt: Path | None = None
    mgmt_mode: int = 0o600
    mgmt_group: str | None = None
    taps: tuple[str, ...] = ()
    plugs: tuple[str, ...] = ()
    nostdin: bool = False
    forwarder: Kind = "native"
    max_frame_octets: int = MTU_OCTETS
    queue_frames: int = 128
    vlan_transparent: bool = False
    offloads: bool = True
    table_limit: int = TABLE_LIMIT


class Help(Exception):
    """`--help` was given."""


class Version(Exception):
    """`--version` was given."""


def derive_modes(mode: int | None, dirmode: int | None) -> tuple[int, int]:
    """(mode, dirmode) from what was given, by vde_switch's rule: x follows r and w, or the reverse."""
    if mode is None and dirmode is None:
        return 0o600, 0o2700
    if mode is None:
        assert dirmode is not None
        return dirmode & 0o666, dirmode
    if dirmode is None:
        dirmode = 0o2000 | mode
        for shift in (0, 3, 6):
            if mode >> shift & 0o6:
                dirmode |= 0o1 << shift
    return mode, dirmode


def parse(
    argv: Sequence[str], *, environ: Mapping[str, str], euid: int, random_octets: Callable[[int], bytes]
) -> tuple[Options, list[str]]:
    """The options, and getopt's complaints about those that are skipped.

    Args:
        argv: without the program's name.
        environ: for HOME.
        euid: root and others have different default directories.
        random_octets: for the address that nobody chose.

    Raises:
        Help, Version: these were asked for.
        ConfigError: a value is not possible.
    """
    result = getopt.parse(TABLE, argv)
    given = dict(result.options)  # the last one wins
    if "help" in given:
        raise Help
    if "version" in given:
        raise Version
    if result.arguments:
        raise ConfigError(f"unexpected argument {result.arguments[0]!r}: vde_switch takes options only")

    mode, dirmode = derive_modes(_octal(given, "mode"), _octal(given, "dirmode"))
    default_directory = "/tmp/vde.ctl" if euid else "/var/run/vde.ctl"
    options = Options(
        directory=_path(given.get("sock", default_directory), "sock"),
        mode=mode,
        dirmode=dirmode,
        mac=_mac(given["macaddr"]) if "macaddr" in given else b"\x00\xff" + random_octets(4),
        group=given.get("group"),
        num_ports=_number(given, "numports", 32, 1, PORT_MAX, "Invalid number of ports"),
        hub="hub" in given,
        fstp="fstp" in given and "hub" not in given,
        priority=_number(given, "priority", 0x8000, 0, (1 << 32) - 1) & 0xFFFF,
        hash_size=_number(given, "hashsize", 128, 1, HASH_SIZE_MAX),
        daemon="daemon" in given,
        pidfile=_path(given["pidfile"], "pidfile") if "pidfile" in given else None,
        rcfile=_rcfile(given, environ),
        mgmt=_path(given["mgmt"], "mgmt") if "mgmt" in given else None,
        mgmt_mode=0o600 if (mgmt_mode := _octal(given, "mgmtmode")) is None else mgmt_mode,
        mgmt_group=given.get("mgmtgroup"),
        taps=tuple(argument for key, argument in result.options if key == "tap"),
        plugs=tuple(argument for key, argument in result.options if key == "plug"),
        nostdin="nostdin" in given,
        forwarder=_forwarder(given.get("forwarder", "native")),
        max_frame_octets=_number(given, "maxframe", MTU_OCTETS, FRAME_OCTETS_MIN, FRAME_OCTETS_MAX),
        queue_frames=_number(given, "queue", 128, 1, QUEUE_FRAMES_MAX),
        offloads="no-offload" not in given,
        vlan_transparent="vlan-transparent" in given,
        table_limit=_number(given, "maxaddresses", TABLE_LIMIT, 1, TABLE_LIMIT),
    )
    return options, result.complaints


def usage(program: str) -> str:
    """The text of `--help`."""
    lines = [f"Usage: {program} [OPTIONS]", "A virtual Ethernet switch for every VDE client.", ""]
    for title, table in (("Options of vde_switch:", ORIGINAL_OPTIONS), ("More:", OWN_OPTIONS)):
        lines.append(title)
        for option in table:
            short = f"-{option.short}, " if option.short else "    "
            names = ", ".join(f"--{name}" for name in option.names)
            left = f"  {short}{names} {option.argument}".rstrip()
            lines.append(f"{left:<34}  {option.help}" if len(left) <= 34 else f"{left}\n{'':36}{option.help}")
        lines.append("")
    lines.append("Long options may be written with one dash. Manual: docs/vdeswitch.md, docs/console.md.")
    return "\n".join(lines) + "\n"


def _number(
    given: Mapping[str, str], key: str, default: int, least: int, most: int, complaint: str = "Invalid value"
) -> int:
    text = given.get(key)
    if text is None:
        return default
    try:
        value = int(text, 8) if text.startswith("0") and text.isdigit() else int(text, 0)  # strtol, base 0
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise ConfigError(f"{complaint} {text} (--{key}): {least} to {most} was expected")
    return value


def _octal(given: Mapping[str, str], key: str) -> int | None:
    text = given.get(key)
    if text is None:
        return None
    try:
        value = int(text, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o7777:
        raise ConfigError(f"Invalid mode {text} (--{key}): an octal number up to 7777 was expected")
    return value


def _forwarder(text: str) -> Kind:
    for kind in get_args(Kind):
        if text == kind:
            return cast(Kind, kind)
    raise ConfigError(f"--forwarder {text}: 'native' or 'python' was expected")


def _mac(text: str) -> bytes:
    try:
        return parse_mac(text)
    except WireError as error:
        raise ConfigError(f"Invalid MAC Addr {text}: {error}") from None


def _path(text: str, key: str) -> Path:
    if not text:
        raise ConfigError(f"--{key}: a path was expected, not an empty string")
    return Path(os.path.abspath(text))


def _rcfile(given: Mapping[str, str], environ: Mapping[str, str]) -> Path | None:
    """`-f`, else the user's, else the system's; the first that can be read."""
    if "rcfile" in given:
        candidates = [given["rcfile"]]
    else:
        home = environ.get("HOME")
        candidates = [f"{home}/.vde2/vde_switch.rc"] if home else []
        candidates.append("/etc/vde2/vde_switch.rc")
    return next((_path(path, "rcfile") for path in candidates if path and os.access(path, os.R_OK)), None)
