"""An interface's frames, for the other end of taps: AF_PACKET, packet(7)."""

import socket

from vde.descriptor_link import DescriptorLink

ETH_P_ALL = 3


class PacketLink(DescriptorLink):
    """What others send and receive on an interface. Owns its socket; make it in the interface's namespace."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind((interface, ETH_P_ALL))
        self._socket.setblocking(False)
        super().__init__(self._socket.fileno())

    def _read(self) -> bytes | None:
        frame, (_, _, kind, _, _) = self._socket.recvfrom(self.mtu_octets + 1)
        return None if kind == socket.PACKET_OUTGOING else frame

    def _write(self, frame: bytes) -> None:
        self._socket.send(frame)

    def close(self) -> None:
        self.end()
        self._socket.close()
