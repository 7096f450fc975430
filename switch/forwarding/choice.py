"""Which forwarder: the readable one or the fast one."""

from typing import Literal

from switch.forwarding.contract import Forwarder, Limits

Kind = Literal["python", "native"]


def open_forwarder(kind: Kind, limits: Limits, seed: int = 0) -> Forwarder:
    """A forwarder without ports.

    Args:
        kind: `python` or `native`.
        limits: bounds that hold as long as it lives.
        seed: of the learning table's hash function, so that nobody outside can aim at its collisions.
    """
    if kind == "python":
        from switch.forwarding.python import PythonForwarder

        return PythonForwarder(limits)
    from switch.forwarding.native import NativeForwarder

    return NativeForwarder(limits, seed)
