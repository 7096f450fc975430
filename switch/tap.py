"""The host's tap interfaces as ports (`-t IF`).

Source: Linux Documentation/networking/tuntap.rst. One frame per read and write (IFF_NO_PI: no header before it). The
interface is made if it is missing (which takes CAP_NET_ADMIN) and then goes away with the switch; one that an
administrator made for this user (`ip tuntap add IF mode tap user …`) needs no privilege. It is not brought up.
"""

import errno
import fcntl
import os
import struct

from vde.errors import ConfigError

TUNSETIFF = 0x400454CA  # linux/if_tun.h: _IOW('T', 202, int)
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFREQ = struct.Struct("16sH22x")  # netdevice(7): ifr_name, ifr_flags
IFNAMSIZ = 16
DEVICE = "/dev/net/tun"


def open_tap(interface: str) -> int:
    """A descriptor of the tap.

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
        fcntl.ioctl(descriptor, TUNSETIFF, IFREQ.pack(name, IFF_TAP | IFF_NO_PI))
    except OSError as error:
        os.close(descriptor)
        hint = ""
        if error.errno == errno.EPERM:
            hint = f": run as root, or have it made once: ip tuntap add {interface} mode tap user {os.geteuid()}"
        elif error.errno == errno.EBUSY:
            hint = ": another program uses it"
        raise ConfigError(f"tap interface {interface!r}: {error.strerror}{hint}") from None
    return descriptor
