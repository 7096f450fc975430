"""vlan:// — another plug, seen through IEEE 802.1Q tags: the tagging is done by the client, not by the switch.

    vlan://3{vde:///run/sw}                        the network's VLAN 3, untagged
    vlan://3/tag=10:11-12:12-11{vde:///run/sw}     and VLAN 10 tagged; the client's 11 is the network's 12, and reversed
    vlan://3[untag=4/trunk]{vde:///run/sw}         what is untagged there has tag 4 here; all other VLANs as they are
    vlan://4{vlan://5/qinq{vxvde://234.1.2.3}}     VLAN 4 in the service VLAN 5 (IEEE 802.1ad)

The address, N, is the VLAN on the network that is untagged to the client. 0 (or none): no VLAN is, and what is untagged
here is untagged there (unless `untag` is given: then untagged frames of the client are dropped); 4095: untagged frames
are dropped either way. `untag=V`: untagged on the network is VLAN V to the client. `tag`: items joined by `.` or `:`,
each A (VLAN A, tagged) or A-B (the client's A is the network's B). `trunk`: VLANs 2 to 4094 that are not named pass.
Of entries that contradict each other the first counts, in the order untag, N, tag. What belongs nowhere is dropped and
counted (`vlan`).

Peer: libvdeplug-vlan 0.1.0; the map is its own (shown frame by frame). Differences, on purpose:

* A frame that is received and stays tagged ends where it ends. The original hands it out with the length of its whole
  buffer, 9234 octets of which most are garbage.
* PCP and DEI of a tag are kept; the original clears them.
* VID 0 is no VLAN but a priority tag: the frame counts as untagged. The original sends it untagged on the network even
  where untagged frames belong to VLAN N, and with N = 4095 takes VID 4095 for a VLAN.
* Options in brackets, as its manual has them, work (the original ignores them); what is no number is an error.

Limits: a tag makes a frame 4 octets longer; the greatest length is that of the inner plug, less 4 where tags are added.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from plugs.parts.nested import NestedLink
from plugs.parts.vlan_map import NO_VLAN, SERVICE_TPID, VID_MAX, VlanMap
from vde.errors import ConfigError
from vde.frame import TAG_OCTETS, TPID
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option


@dataclass(frozen=True)
class Params:
    """Options of vlan://."""

    nested: str
    untag: int = option(0, "VLAN to the client of what is untagged on the network", least=0, most=VID_MAX)
    tag: str = option("", "VLANs that are tagged to the client: A or A-B, joined by . or :", aliases=("t",))
    trunk: bool = option(False, "VLANs that are not named pass as they are", aliases=("x",))
    qinq: bool = option(False, "tags of IEEE 802.1ad, EtherType 0x88a8", aliases=("ad",))


class VlanLink(NestedLink):
    """Frames through a map."""

    def __init__(self, inner: Link, vlans: VlanMap) -> None:
        super().__init__(inner, inner.mtu_octets - (TAG_OCTETS if vlans.grows else 0))
        self._vlans = vlans

    def _outward(self, frame: bytes) -> bytes | str:
        return self._vlans.to_network(frame)

    def _inward(self, frame: bytes) -> bytes | str:
        return self._vlans.to_client(frame)


def read_map(address: str, params: Params) -> VlanMap:
    """The map that a VNL describes. Raises `ConfigError`."""
    native = _number(address or "0", "the address", 0, NO_VLAN)
    pairs: list[tuple[int, int]] = []
    for item in params.tag.replace(":", ".").split(".") if params.tag else []:
        client, minus, network = item.partition("-")
        number = _number(client, "tag", 1, VID_MAX)
        pairs.append((number, _number(network, "tag", 1, VID_MAX) if minus else number))
    return VlanMap(native, params.untag, pairs, trunk=params.trunk, tpid=SERVICE_TPID if params.qinq else TPID)


def _number(text: str, where: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
        raise ConfigError(f"vlan://: {where}: {text!r}: a VLAN's number of {least} to {most} was expected")
    return int(text)


@asynccontextmanager
async def open_vlan(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address`: the VLAN that is untagged to the client."""
    vlans = read_map(address, params)
    async with surroundings.open_link(params.nested) as inner:
        yield VlanLink(inner, vlans)


PLUG = PlugSpec("vlan", open_vlan, Params, syntax="vlan://[N][/OPTION…]{VNL}", style="either", nested="required")
