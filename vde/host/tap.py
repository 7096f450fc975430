"""Tap interfaces by their character device: made, owned, persistent, removed.

Source: Linux Documentation/networking/tuntap.rst, linux/if_tun.h. A tap lasts as long as a descriptor of it is open,
unless it is persistent; its owner, and members of its group, may open it without a privilege. One frame a read and
write, without a header (IFF_NO_PI). The interface is of the network namespace that the device was opened in.
"""

import errno
import fcntl
import grp
import os
import pwd

from vde.errors import ConfigError
from vde.host.privilege import lacking_net_admin, tun_refused
from vde.tun import DEVICE, IFF_NO_PI, IFF_TAP, IFF_TUN_EXCL, IFNAMSIZ, open_device

TUNSETPERSIST = 0x400454CB  # linux/if_tun.h: _IOW('T', 203, int), and so on
TUNSETOWNER = 0x400454CC
TUNSETGROUP = 0x400454CE


def check_name(name: str) -> str:
    """The name, if an interface may be called so.

    Raises:
        ConfigError: it may not.
    """
    octets = os.fsencode(name)
    if not 0 < len(octets) < IFNAMSIZ or any(octet in b"/: \t\n\0" for octet in octets) or name in (".", ".."):
        raise ConfigError(
            f"interface {name!r}: a name of 1 to {IFNAMSIZ - 1} octets without '/', ':' and spaces was expected"
        )
    return name


def open_tap(name: str, *, new: bool = False) -> tuple[int, str]:
    """A non-blocking descriptor of a tap in the present network namespace, and its name.

    Args:
        name: `%d` in it is a number that the kernel chooses.
        new: it must not exist yet; otherwise an existing one is opened.

    Raises:
        ConfigError: it cannot be had; says what would help.
    """
    check_name(name)
    try:
        descriptor, made, _ = open_device(name, IFF_TAP | IFF_NO_PI | (IFF_TUN_EXCL if new else 0))
    except OSError as error:
        if error.filename == DEVICE:
            raise ConfigError(f"interface {name!r}: {tun_refused(error)}") from None
        match error.errno:
            case errno.EPERM:
                text = lacking_net_admin(f"making the tap {name!r}")
            case errno.EBUSY if new:
                text = f"interface {name!r}: there is one of that name"
            case errno.EBUSY:
                text = f"interface {name!r}: another program uses it"
            case errno.EINVAL:
                text = f"interface {name!r}: it exists and is no tap, or has other settings"
            case _:
                text = f"interface {name!r}: {error.strerror}"
        raise ConfigError(text) from None
    return descriptor, made


def make_persistent(descriptor: int, owner: str | None = None, group: str | None = None) -> None:
    """Let a tap outlive its descriptor.

    Args:
        descriptor: from `open_tap`.
        owner: a user's name or number, who may open it.
        group: likewise.

    Raises:
        ConfigError: there is no such user or group, or the kernel refuses.
    """
    try:
        if owner is not None:
            fcntl.ioctl(descriptor, TUNSETOWNER, user_number(owner))
        if group is not None:
            fcntl.ioctl(descriptor, TUNSETGROUP, group_number(group))
        fcntl.ioctl(descriptor, TUNSETPERSIST, 1)
    except OSError as error:
        refused = error.errno == errno.EPERM
        raise ConfigError(
            lacking_net_admin("making a tap persistent") if refused else f"tap: {error.strerror}"
        ) from None


def delete_tap(name: str) -> None:
    """Remove a persistent tap; whoever has it open keeps it until then.

    Raises:
        ConfigError: there is none, or we may not.
    """
    descriptor, _ = open_tap(name)
    try:
        fcntl.ioctl(descriptor, TUNSETPERSIST, 0)
    except OSError as error:
        raise ConfigError(f"interface {name!r}: {error.strerror}") from None
    finally:
        os.close(descriptor)


def user_number(text: str) -> int:
    """A user's number, from it or the name.

    Raises:
        ConfigError: there is no such user.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise ConfigError(f"user {text!r}: there is none of that name") from None


def group_number(text: str) -> int:
    """A group's number, from it or the name.

    Raises:
        ConfigError: there is no such group.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ConfigError(f"group {text!r}: there is none of that name") from None
