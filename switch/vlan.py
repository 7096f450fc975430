"""Tags on frames, and how a port is a member of a VLAN.

Source: IEEE 802.1Q-2018 §9.6 (C-TAG); vde_switch's reading of it: only TPID 0x8100, only the first tag.
Not supported: 802.1ad service tags (0x88A8 is payload), drop eligibility, priority queues.
"""

from dataclasses import dataclass

from vde.frame import HEADER_OCTETS, TAG_OCTETS, TPID, VID_MASK

TAG_OFFSET = 12
TAGGED_HEADER_OCTETS = HEADER_OCTETS + TAG_OCTETS


@dataclass(slots=True)
class Member:
    """How a port is a member of a VLAN."""

    tagged: bool
    """Do frames of the VLAN leave the port with a tag?"""
    learning: bool
    forwarding: bool


def is_tagged(frame: bytes) -> bool:
    """Does the frame start with a tag? (A whole one if it has at least `TAGGED_HEADER_OCTETS`.)"""
    return frame[TAG_OFFSET : TAG_OFFSET + 2] == TPID


def vid(frame: bytes) -> int:
    """The VLAN identifier of a tagged frame, 0…4095."""
    return (frame[14] << 8 | frame[15]) & VID_MASK


def insert_tag(frame: bytes, vlan: int) -> bytes:
    """An untagged frame as one of `vlan`, with PCP 0."""
    return frame[:TAG_OFFSET] + TPID + vlan.to_bytes(2, "big") + frame[TAG_OFFSET:]


def remove_tag(frame: bytes) -> bytes:
    """A tagged frame without its first tag."""
    return frame[:TAG_OFFSET] + frame[TAG_OFFSET + TAG_OCTETS :]
