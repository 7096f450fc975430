"""What comes to a guest from outside. Applied between two runs at a known tick, so that it can be recorded."""

from dataclasses import dataclass

from emulators.outside import ConsoleEnd, NicEnd, ScreenEnd


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


@dataclass(frozen=True, slots=True)
class Key:
    """A key went down or up."""

    name: str
    down: bool

    def apply(self, end: ScreenEnd) -> None:
        """Give it to the device."""
        if end.on_key is not None:
            end.on_key(self.name, self.down)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The mouse was moved, or its buttons changed."""

    right: int
    up: int
    wheel: int
    buttons: int

    def apply(self, end: ScreenEnd) -> None:
        """Give it to the device."""
        if end.on_mouse is not None:
            end.on_mouse(self.right, self.up, self.wheel, self.buttons)


Input = Octets | Frame | Cable | Key | Pointer
