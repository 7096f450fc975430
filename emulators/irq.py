"""Interrupt lines: levels that go from a device to an input of a controller or processor."""

from emulators.device import Irq


class SharedLine:
    """A line that several devices drive: asserted while any of them asserts it (PCI's INTx)."""

    def __init__(self, out: Irq) -> None:
        self._out = out
        self._asserted: set[int] = set()
        self._inputs = 0

    def input(self) -> Irq:
        """One more device's end of the line."""
        number = self._inputs
        self._inputs += 1

        def drive(level: bool) -> None:
            was = bool(self._asserted)
            (self._asserted.add if level else self._asserted.discard)(number)
            if bool(self._asserted) != was:
                self._out(not was)

        return drive
