"""What comes to a guest from outside. Applied between two runs at a known tick, so that it can be recorded."""

from dataclasses import dataclass

from emulators.outside import ConsoleEnd, NicEnd


@dataclass(frozen=True, slots=True)
class Octets:
    """Typed on a console."""

    console: str
    octets: bytes

    def apply(self, end: ConsoleEnd) -> None:
        """Give it to the device."""
        if end.on_input is not None:
            end.on_input(self.octets)


@dataclass(frozen=True, slots=True)
class Frame:
    """Arrived on a cable."""

    nic: int
    frame: bytes

    def apply(self, end: NicEnd) -> None:
        """Give it to the device."""
        if end.on_frame is not None:
            end.on_frame(self.frame)


@dataclass(frozen=True, slots=True)
class Cable:
    """A cable was plugged in or pulled."""

    nic: int
    up: bool

    def apply(self, end: NicEnd) -> None:
        """Give it to the device."""
        if end.on_link is not None:
            end.on_link(self.up)


Input = Octets | Frame | Cable
