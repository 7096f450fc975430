"""Packet commands of a CD-ROM drive: what they ask, what they answer.

Specification: MMC-3 (T10/1363D revision 10g), clause 6, and SPC-2 (T10/1236D revision 20), clause 7, as cited.

Carried out: TEST UNIT READY, REQUEST SENSE, INQUIRY, START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL, READ CAPACITY,
READ (10), READ (12), READ CD (user data of mode 1), SEEK, READ TOC (formats 0, 1 and 2), GET CONFIGURATION (feature
lists of a CD-ROM), GET EVENT STATUS NOTIFICATION (polled: media), READ DISC INFORMATION, MODE SENSE (6 and 10; pages
1, 0Eh and 2Ah), MECHANISM STATUS. The disc has one session with one data track.

Everything else: 5/20/00, and what is not as the standard has it: 5/24/00.
"""

import struct
from typing import Final, NamedTuple, Protocol

SECTOR: Final = 2048
ILLEGAL_REQUEST: Final = 5
LEADOUT: Final = 0xAA
TRACK_CONTROL: Final = 0x14  # ADR 1, a data track


class Sense(NamedTuple):
    """Why a command failed: sense key, additional code and qualifier (SPC-2 §7.20)."""

    key: int = 0
    code: int = 0
    qualifier: int = 0

    def packed(self) -> int:
        """As one number, for snapshots."""
        return self.key << 16 | self.code << 8 | self.qualifier

    @classmethod
    def of(cls, packed: int) -> "Sense":
        """The reverse."""
        return cls(packed >> 16 & 0xF, packed >> 8 & 0xFF, packed & 0xFF)


NO_DISC: Final = Sense(2, 0x3A)
READ_ERROR: Final = Sense(3, 0x11)
UNKNOWN: Final = Sense(ILLEGAL_REQUEST, 0x20)
OUT_OF_RANGE: Final = Sense(ILLEGAL_REQUEST, 0x21)
WRONG_FIELD: Final = Sense(ILLEGAL_REQUEST, 0x24)
LOCKED: Final = Sense(ILLEGAL_REQUEST, 0x53, 0x02)
NEW_DISC: Final = Sense(6, 0x28)
POWER_ON: Final = Sense(6, 0x29)

TEST_UNIT_READY, REQUEST_SENSE, INQUIRY, MODE_SENSE_6, START_STOP, PREVENT_ALLOW = 0x00, 0x03, 0x12, 0x1A, 0x1B, 0x1E
READ_CAPACITY, READ_10, SEEK_10, READ_TOC, GET_CONFIGURATION, GET_EVENT = 0x25, 0x28, 0x2B, 0x43, 0x46, 0x4A
READ_DISC_INFORMATION, MODE_SENSE_10, READ_12, MECHANISM_STATUS, READ_CD = 0x51, 0x5A, 0xA8, 0xBD, 0xBE

WITHOUT_ATTENTION: Final = frozenset((REQUEST_SENSE, INQUIRY, GET_CONFIGURATION, GET_EVENT))  # MMC-3 §4.1.6
NEEDS_DISC: Final = frozenset(
    (TEST_UNIT_READY, READ_CAPACITY, READ_10, READ_12, READ_CD, SEEK_10, READ_TOC, READ_DISC_INFORMATION)
)
MOST_SECTORS: Final = 0x8000
"""Of one command. Chosen: 64 MiB are more than any driver asks for; `Transfer` has a bound besides."""


class Mechanism(Protocol):
    """What a packet may look at and change."""

    sectors: int
    loaded: bool
    locked: bool
    changed: bool
    sense: Sense
    attention: Sense | None

    def start_stop(self, *, eject: bool, start: bool) -> Sense | None:
        """START STOP UNIT: open or close the tray, spin up or down; or why not."""


def sectors_of(packet: bytes, sectors: int) -> tuple[int, int] | Sense:
    """First sector and how many, of the three commands that read."""
    lba = int.from_bytes(packet[2:6], "big")
    if packet[0] == READ_CD:
        count = int.from_bytes(packet[6:9], "big")
        # MMC-3 §6.19: any type, or mode 1; user data only, or nothing at all
        if packet[1] >> 2 & 7 not in (0, 2) or packet[9] & 0xFE not in (0x00, 0x10) or packet[10] & 7:
            return WRONG_FIELD
        if not packet[9] & 0x10:
            count = 0
    elif packet[0] == READ_10:
        count = int.from_bytes(packet[7:9], "big")
    else:
        count = int.from_bytes(packet[6:10], "big")
    if lba >= sectors or count > sectors - lba:
        return OUT_OF_RANGE
    return WRONG_FIELD if count > MOST_SECTORS // 2 else (lba, count)


def answer(drive: Mechanism, packet: bytes) -> bytes | Sense:
    """What the other commands answer (b"": nothing but good status)."""
    match packet[0]:
        case 0x00 | 0x2B:
            if packet[0] == SEEK_10 and int.from_bytes(packet[2:6], "big") >= drive.sectors:
                return OUT_OF_RANGE
            return b""
        case 0x03:
            sense = drive.attention or drive.sense
            drive.attention, drive.sense = None, Sense()
            return _sense(sense)[: packet[4]]
        case 0x12:
            return WRONG_FIELD if packet[1] & 3 or packet[2] else _INQUIRY[: packet[4]]
        case 0x1B:
            failed = drive.start_stop(eject=bool(packet[4] & 2), start=bool(packet[4] & 1))
            return b"" if failed is None else failed
        case 0x1E:
            drive.locked = bool(packet[4] & 1)
            return b""
        case 0x25:
            return struct.pack(">II", drive.sectors - 1, SECTOR)
        case 0x43:
            return _toc(drive, packet)
        case 0x46:
            return _configuration(drive, packet)[: int.from_bytes(packet[7:9], "big")]
        case 0x4A:
            return _events(drive, packet)
        case 0x51:
            return _disc_information()[: int.from_bytes(packet[7:9], "big")]
        case 0x1A | 0x5A:
            return _mode(drive, packet)
        case 0xBD:
            # MMC-3 §6.9: no changer
            return bytes((0, 0, 0, 0, 0, 0, 0, 0))[: int.from_bytes(packet[8:10], "big")]
        case _:
            return UNKNOWN


def _sense(sense: Sense) -> bytes:
    """SPC-2 §7.20.2: fixed format, current."""
    return bytes((0x70, 0, sense.key, 0, 0, 0, 0, 10, 0, 0, 0, 0, sense.code, sense.qualifier, 0, 0, 0, 0))


_INQUIRY: Final = bytes((5, 0x80, 0, 0x21, 31, 0, 0, 0)) + b"VDE     " + b"CD-ROM          " + b"1.0 "
"""SPC-2 §7.3.2: a CD-ROM, removable; response format of SFF-8020i."""


def _address(lba: int, msf: bool) -> bytes:
    """MMC-3 §4.2.3.9: minute, second, frame, from 2 seconds on."""
    if not msf:
        return struct.pack(">I", lba)
    minute, rest = divmod(lba + 150, 60 * 75)
    return bytes((0, min(minute, 255), *divmod(rest, 75)))


def _toc(drive: Mechanism, packet: bytes) -> bytes | Sense:
    """MMC-3 §6.25."""
    msf = bool(packet[1] & 2)
    form = packet[2] & 0xF or packet[9] >> 6  # the second place is SFF-8020i's
    first = packet[6]
    if form == 0:
        if first > 1 and first != LEADOUT:
            return WRONG_FIELD
        tracks = b"" if first == LEADOUT else bytes((0, TRACK_CONTROL, 1, 0)) + _address(0, msf)
        body = bytes((1, 1)) + tracks + bytes((0, TRACK_CONTROL, LEADOUT, 0)) + _address(drive.sectors, msf)
    elif form == 1:
        body = bytes((1, 1, 0, TRACK_CONTROL, 1, 0)) + _address(0, msf)
    elif form == 2:
        body = bytes((1, 1))
        for point, place in ((0xA0, bytes((0, 1, 0, 0))), (0xA1, bytes((0, 1, 0, 0)))):
            body += bytes((1, TRACK_CONTROL, 0, point, 0, 0, 0)) + place
        body += bytes((1, TRACK_CONTROL, 0, 0xA2, 0, 0, 0)) + _address(drive.sectors, True)
        body += bytes((1, TRACK_CONTROL, 0, 1, 0, 0, 0)) + _address(0, True)
    else:
        return WRONG_FIELD
    return (struct.pack(">H", len(body)) + body)[: int.from_bytes(packet[7:9], "big")]


PROFILE_CD_ROM: Final = 8


def _configuration(drive: Mechanism, packet: bytes) -> bytes:
    """MMC-3 §6.6: profile list, core, removable medium, random readable, CD read, power management."""
    current = drive.loaded
    features = (
        (0x0000, 0x03, bytes((0, PROFILE_CD_ROM, current, 0))),
        (0x0001, 0x03, struct.pack(">I", 2)),  # ATAPI
        (0x0003, 0x03, bytes((0x29, 0, 0, 0))),  # a tray, with lock and eject
        (0x0010, 0x00 | current, struct.pack(">IHBB", SECTOR, 1, 0, 0)),
        (0x001E, 0x00 | current, bytes(4)),
        (0x0100, 0x03, b""),
    )
    start, kind = int.from_bytes(packet[2:4], "big"), packet[1] & 3
    body = b""
    for number, flags, data in features:
        if (number == start if kind == 2 else number >= start) and (kind != 1 or flags & 1):
            body += struct.pack(">HBB", number, flags, len(data)) + data
    return struct.pack(">IHH", len(body) + 4, 0, PROFILE_CD_ROM if current else 0) + body


def _events(drive: Mechanism, packet: bytes) -> bytes | Sense:
    """MMC-3 §6.7; the media class only."""
    if not packet[1] & 1:  # asynchronous
        return WRONG_FIELD
    room = int.from_bytes(packet[7:9], "big")
    if not packet[4] & 0x10:
        return struct.pack(">HBB", 2, 0x80, 0x10)[:room]
    event = 0
    if drive.changed:
        event, drive.changed = (2 if drive.loaded else 3), False
    return struct.pack(">HBBBBBB", 6, 0x04, 0x10, event, 0x02 if drive.loaded else 0x01, 0, 0)[:room]


def _disc_information() -> bytes:
    """MMC-3 §6.23: complete, one session, one track."""
    return struct.pack(">HBBBBBBBBBBIII", 32, 0x0E, 1, 1, 1, 1, 0x20, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF) + bytes(10)


def _mode(drive: Mechanism, packet: bytes) -> bytes | Sense:
    """SPC-2 §7.9, §7.10; MMC-3 §5.5."""
    if packet[2] >> 6 == 3:  # saved values
        return Sense(ILLEGAL_REQUEST, 0x39)
    wanted = packet[2] & 0x3F
    speed = 4 * 176  # kB/s
    lock = 0x29 | 0x02 * drive.locked  # a tray, with lock and eject
    pages = {
        0x01: bytes((0x01, 6, 0, 5, 0, 0, 0, 0)),
        0x0E: bytes((0x0E, 14, 4, 0, 0, 75, 0, 75, 1, 0xFF, 2, 0xFF, 0, 0, 0, 0)),
        0x2A: struct.pack(">BBBBBBBBHHHHBBBB", 0x2A, 18, 0, 0, 0x70, 0, lock, 0, speed, 0, 512, speed, 0, 0, 0, 0),
    }
    if wanted != 0x3F and wanted not in pages:
        return WRONG_FIELD
    body = b"".join(page for number, page in pages.items() if wanted in (number, 0x3F))
    medium = 0x01 if drive.loaded else 0x70
    if packet[0] == MODE_SENSE_6:
        return (bytes((len(body) + 3, medium, 0, 0)) + body)[: packet[4]]
    header = struct.pack(">HB5x", len(body) + 6, medium)
    return (header + body)[: int.from_bytes(packet[7:9], "big")]
