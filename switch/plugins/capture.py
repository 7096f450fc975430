"""One capture: a section of a pcapng file that grows with every frame, one interface a port.

Interface 0, `switch`, holds no frames: its statistics block, at the end, says how many frames are missing because the
forwarder could not hand them over in time (of which port, nobody knows any more), or of ports that have no interface
because the file had no room.
"""

from switch.forwarding.contract import Direction, Packet
from switch.plugins.capture_file import CaptureFile
from vde import pcapng
from vde.pcapng import PacketDirection

APPLICATION = "vdeswitch (vde-fabric)"
SWITCH_INTERFACE = "switch"


class Capture:
    """An open section.

    Args:
        offset_ns: what to add to a packet's time to get nanoseconds since 1970.

    Attributes:
        frames: stored.
        refused: frames for which the file (a pipe that is read slowly) had no room.
    """

    def __init__(self, file: CaptureFile, offset_ns: int) -> None:
        """Raises `OSError` if the file takes nothing."""
        self.file = file
        self._offset_ns = offset_ns
        self._ports: dict[int, _Interface] = {}
        self.frames = self.refused = 0
        self.file.write(
            pcapng.section_header(APPLICATION)
            + pcapng.interface(SWITCH_INTERFACE, "frames that were lost, of all ports")
        )

    def store(self, packet: Packet) -> None:
        """Raises `OSError` if the file takes no more."""
        interface = self._ports.get(packet.port)
        block = b""
        if interface is None:
            interface = _Interface(len(self._ports) + 1)
            block = pcapng.interface(f"port{packet.port}", f"port {packet.port} of the switch")
        way = PacketDirection.INBOUND if packet.direction is Direction.IN else PacketDirection.OUTBOUND
        block += pcapng.packet(interface.number, packet.when_ns + self._offset_ns, packet.frame, way)
        if self.file.write(block):
            self._ports[packet.port] = interface
            interface.received += 1
            self.frames += 1
        else:
            self.refused += 1
            interface.refused += packet.port in self._ports

    def finish(self, now_ns: int, lost: int) -> None:
        """Write the statistics and close the file. Raises `OSError`; the file is closed all the same.

        Args:
            lost: frames that did not come this far.
        """
        when_ns = now_ns + self._offset_ns
        nameless = self.refused - sum(interface.refused for interface in self._ports.values())
        blocks = pcapng.statistics(0, when_ns, received=0, dropped=lost + nameless)
        for interface in self._ports.values():
            received = interface.received + interface.refused
            blocks += pcapng.statistics(interface.number, when_ns, received=received, dropped=interface.refused)
        try:
            self.file.write(blocks)
        finally:
            self.file.close()


class _Interface:
    def __init__(self, number: int) -> None:
        self.number = number
        self.received = self.refused = 0
