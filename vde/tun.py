"""The kernel's tap devices: /dev/net/tun, and opening one interface of it.

Source: Linux Documentation/networking/tuntap.rst. One frame per read and write (IFF_NO_PI: no header before it). Where
the kernel can (IFF_VNET_HDR), a virtio-net header stands before it, so that forwarder and kernel may leave checksums
and the cutting into segments to each other. The interface is made if it is missing, which takes CAP_NET_ADMIN, and then
goes away with the descriptor; one that an administrator made for this user needs no privilege. It is not brought up.
"""

import errno
import fcntl
import os
import struct

from vde.errors import ConfigError

DEVICE = "/dev/net/tun"
TUNSETIFF = 0x400454CA  # linux/if_tun.h: _IOW('T', 202, int)
TUNGETFEATURES = 0x800454CF  # _IOR('T', 207, unsigned int)
FEATURES = struct.Struct("=I")
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFF_TUN_EXCL = 0x8000  # only a new one
IFF_VNET_HDR = 0x4000
IFREQ = struct.Struct("=16sH22x")  # netdevice(7): ifr_name, ifr_flags
IFNAMSIZ = 16


def open_device(interface: str, flags: int, *, if_possible: int = 0) -> tuple[int, str, int]:
    """A non-blocking descriptor of an interface of the present network namespace, its name, and the flags that it has.

    Args:
        interface: its name; `%d` in it is a number that the kernel chooses.
        flags: IFF_…
        if_possible: more of them, as far as the kernel knows them.

    Raises:
        OSError: of the device (`filename` is `DEVICE`), or of the interface.
    """
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        (features,) = FEATURES.unpack(fcntl.ioctl(descriptor, TUNGETFEATURES, bytes(FEATURES.size)))
        flags |= if_possible & features
        answer = fcntl.ioctl(descriptor, TUNSETIFF, IFREQ.pack(os.fsencode(interface), flags))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, os.fsdecode(IFREQ.unpack(answer)[0].split(b"\0", 1)[0]), flags


def open_tap(interface: str, called: str, *, offloads: bool) -> tuple[int, str, bool]:
    """A non-blocking descriptor, the interface's name, and whether the virtio-net header is there.

    Args:
        interface: its name; `%d` in it is a number that the kernel chooses.
        called: how errors call it.
        offloads: with the header, if the kernel can.

    Raises:
        ConfigError: it cannot be had; says what would help.
    """
    name = os.fsencode(interface)
    if not 0 < len(name) < IFNAMSIZ or b"/" in name:
        raise ConfigError(f"{called}: a name of 1 to {IFNAMSIZ - 1} octets without '/' was expected")
    try:
        descriptor, made, flags = open_device(
            interface, IFF_TAP | IFF_NO_PI, if_possible=IFF_VNET_HDR if offloads else 0
        )
    except OSError as error:
        if error.filename == DEVICE:
            raise ConfigError(f"{called}: {DEVICE}: {error.strerror} (modprobe tun?)") from None
        hint = ""
        if error.errno == errno.EPERM:
            command = f"ip tuntap add {interface} mode tap user {os.geteuid()}"
            hint = f": CAP_NET_ADMIN is missing: run as root, or have it made once: {command}"
        elif error.errno == errno.EBUSY:
            hint = ": another program uses it"
        raise ConfigError(f"{called}: {error.strerror}{hint}") from None
    return descriptor, made, bool(flags & IFF_VNET_HDR)
