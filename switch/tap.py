"""The host's tap interfaces as ports (`-t IF`)."""

from vde import tun
from vde.endpoint import EndpointKind, HandedOver


def open_tap(interface: str, *, offloads: bool = False) -> HandedOver:
    """A descriptor of the tap, for a forwarder. `offloads`: with them, if the kernel can.

    Raises:
        ConfigError: it cannot be had; says what would help.
    """
    descriptor, _, header = tun.open_tap(interface, f"tap interface {interface!r}", offloads=offloads)
    return HandedOver(descriptor, EndpointKind.TAP_VNET if header else EndpointKind.TAP)
