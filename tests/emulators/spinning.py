"""What `vde ps` would be told of a guest that hangs, without waiting for seconds."""

from emulators.guest.spin import SAMPLES, SpinWatch
from emulators.machine import Done, Machine


def spin_texts(machine: Machine) -> list[str]:
    """While it runs for twice the samples that a hang takes; the watch's seconds are thousandths here."""
    machine.ticks_hz //= 1000
    watch = SpinWatch()
    told = []
    for _ in range(2 * SAMPLES):
        assert machine.run_for(machine.ticks_hz) == Done()
        told.append(watch.look(machine))
    return [text for text in told if text is not None]
