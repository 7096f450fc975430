"""The host's tap interfaces as ports (`-t IF`).

Source: Linux Documentation/networking/tuntap.rst. One frame per read and write (IFF_NO_PI). Where the kernel can
(IFF_VNET_HDR), a virtio-net header stands before it, so that forwarder and kernel may leave checksums and the cutting
into segments to each other. The interface is made if it is missing (which takes CAP_NET_ADMIN) and then goes away with
the switch; one that an administrator made for this user (`ip tuntap add IF mode tap user …`) needs no privilege. It is
not brought up.
"""

import errno
import fcntl
import os
import struct

from vde.endpoint import EndpointKind, HandedOver
from vde.errors import ConfigError

TUNSETIFF = 0x400454CA  # linux/if_tun.h: _IOW('T', 202, int)
TUNGETFEATURES = 0x800454CF  # _IOR('T', 207, unsigned int)
FEATURES = struct.Struct("=I")
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
IFREQ = struct.Struct("16sH22x")  # netdevice(7): ifr_name, ifr_flags
IFNAMSIZ = 16
DEVICE = "/dev/net/tun"


def open_tap(interface: str, *, offloads: bool = False) -> HandedOver:
    """A descriptor of the tap, for a forwarder. `offloads`: with them, if the kernel can.

    Raises:
        ConfigError: it cannot be had; says what would help.
    """
    name = os.fsencode(interface)
    if not 0 < len(name) < IFNAMSIZ or b"/" in name:
        raise ConfigError(f"tap interface {interface!r}: a name of 1 to {IFNAMSIZ - 1} octets without '/' was expected")
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"tap interface {interface!r}: {DEVICE}: {error.strerror} (modprobe tun?)") from None
    try:
        (features,) = FEATURES.unpack(fcntl.ioctl(descriptor, TUNGETFEATURES, bytes(FEATURES.size)))
        header = IFF_VNET_HDR & features if offloads else 0
        fcntl.ioctl(descriptor, TUNSETIFF, IFREQ.pack(name, IFF_TAP | IFF_NO_PI | header))
    except OSError as error:
        os.close(descriptor)
        hint = ""
        if error.errno == errno.EPERM:
            hint = f": run as root, or have it made once: ip tuntap add {interface} mode tap user {os.geteuid()}"
        elif error.errno == errno.EBUSY:
            hint = ": another program uses it"
        raise ConfigError(f"tap interface {interface!r}: {error.strerror}{hint}") from None
    return HandedOver(descriptor, EndpointKind.TAP_VNET if header else EndpointKind.TAP)
