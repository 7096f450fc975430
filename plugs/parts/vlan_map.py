"""Which VLAN on the network is which one to the client, and frames changed so. Sans-I/O.

An untagged frame, and one with the VID 0 (a priority tag, IEEE 802.1Q-2018 §9.6), are of VLAN 0. Only the outermost
tag counts, if it has the map's TPID; any other frame is of VLAN 0 with all that it has. PCP and DEI are kept as long as
there is a tag; frames of VLAN 0 leave without one.
"""

from collections.abc import Sequence

from vde.frame import HEADER_OCTETS, TAG_OCTETS, TPID, VID_MASK

UNTAGGED = 0
NO_VLAN = 4095
VID_MAX = 4094  # IEEE 802.1Q-2018 table 9-2: 4095 is reserved
TRUNK_LEAST = 2  # as libvdeplug's plug: VLAN 1 passes only where it is listed
SERVICE_TPID = b"\x88\xa8"  # IEEE 802.1Q-2018 table 9-1, S-TAG


class VlanMap:
    """Two tables: client to network, and back. Where several entries say something of one VLAN, the first counts."""

    def __init__(
        self,
        native: int = UNTAGGED,
        untag: int = UNTAGGED,
        pairs: Sequence[tuple[int, int]] = (),
        *,
        trunk: bool = False,
        tpid: bytes = TPID,
    ) -> None:
        """A map.

        Args:
            native: VLAN on the network that is untagged to the client; `NO_VLAN`: none is.
            untag: VLAN to the client that is untagged on the network; `UNTAGGED`: none.
            pairs: (VLAN to the client, VLAN on the network).
            trunk: VLANs `TRUNK_LEAST` to `VID_MAX` that are not named pass as they are.
            tpid: of the tags.
        """
        self.tpid = tpid
        entries: list[tuple[int, int]] = []
        if untag != UNTAGGED:
            entries.append((untag, UNTAGGED))
        if native not in (UNTAGGED, NO_VLAN):
            entries.append((UNTAGGED, native))
        if native == untag == UNTAGGED:
            entries.append((UNTAGGED, UNTAGGED))
        entries += pairs
        self._to_network: dict[int, int] = {}
        self._to_client: dict[int, int] = {}
        for client, network in entries:
            self._to_network.setdefault(client, network)
            self._to_client.setdefault(network, client)
        if trunk:
            for vlan in range(TRUNK_LEAST, VID_MAX + 1):
                self._to_network.setdefault(vlan, vlan)
                self._to_client.setdefault(vlan, vlan)
        self.grows = self._to_network.get(UNTAGGED, UNTAGGED) != UNTAGGED
        """Do untagged frames leave tagged?"""

    def to_network(self, frame: bytes) -> bytes | str:
        """A client's frame as it leaves; `vlan`: it belongs nowhere, `short`: its tag is cut off."""
        return self._change(frame, self._to_network)

    def to_client(self, frame: bytes) -> bytes | str:
        """A frame of the network as the client sees it, or as above."""
        return self._change(frame, self._to_client)

    def _change(self, frame: bytes, table: dict[int, int]) -> bytes | str:
        tci, rest = 0, 12
        if frame[12:14] == self.tpid:
            if len(frame) < HEADER_OCTETS + TAG_OCTETS:
                return "short"
            tci, rest = int.from_bytes(frame[14:16]), 16
        vlan = table.get(tci & VID_MASK)
        if vlan is None:
            return "vlan"
        if vlan == UNTAGGED:
            return frame if rest == 12 else frame[:12] + frame[rest:]
        return frame[:12] + self.tpid + (tci & ~VID_MASK | vlan).to_bytes(2) + frame[rest:]
