"""What this process may do, and what to advise where it may not: the words are the same wherever a privilege lacks."""

import contextlib
import errno
import os
from pathlib import Path

from vde.host.kernel import Capability
from vde.tun import DEVICE as TUN_DEVICE

_USER_NAMESPACES_MAX = Path("/proc/sys/user/max_user_namespaces")
_DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")  # a patch of Debian and Ubuntu
_APPARMOR_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")  # AppArmor 4, Ubuntu 23.10


def effective() -> int:
    """The capabilities of this thread, a bit each."""
    status = Path("/proc/thread-self/status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))


def has(*capabilities: Capability) -> bool:
    """Have we all of them?"""
    held = effective()
    return all(held >> capability & 1 for capability in capabilities)


def lacking_net_admin(what: str) -> str:
    """Why `what` was refused, and the ways that need no privilege."""
    return (
        f"{what}: CAP_NET_ADMIN is missing in this network namespace: run as root; or without privilege: a network "
        "namespace of one's own ('vde view --net VNL -- COMMAND'), or user-mode NAT to the host's network (a plug "
        "nat://)"
    )


def tun_refused(error: OSError) -> str:
    """Why /dev/net/tun cannot be opened."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return (
                f"{TUN_DEVICE}: {error.strerror}: its mode must let this user in (0666 on Debian, which is safe: "
                f"making an interface still takes CAP_NET_ADMIN): chmod 666 {TUN_DEVICE}, as root"
            )
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return f"{TUN_DEVICE}: {error.strerror}: load the module: modprobe tun, as root"
        case _:
            return f"{TUN_DEVICE}: {error.strerror}"


def namespaces_refused(error: OSError) -> str:
    """Why the kernel refuses a user namespace, or something in one that it should allow."""
    reasons = []
    if _number(_DEBIAN_SWITCH) == 0:
        reasons.append("users may not make user namespaces here: sysctl kernel.unprivileged_userns_clone=1, as root")
    if _number(_APPARMOR_SWITCH) == 1 and os.geteuid() != 0:
        reasons.append(
            "AppArmor takes the privileges of users' namespaces away: sysctl "
            "kernel.apparmor_restrict_unprivileged_userns=0, or a profile with 'userns,' for this program, as root"
        )
    if _number(_USER_NAMESPACES_MAX) == 0:
        reasons.append("no user namespaces are allowed: sysctl user.max_user_namespaces=10000, as root")
    elif error.errno == errno.ENOSPC:
        reasons.append("too many user namespaces, or more than 32 within one another (sysctl user.max_user_namespaces)")
    if error.errno == errno.EINVAL:
        reasons.append("this kernel was built without one of the namespaces (CONFIG_USER_NS, CONFIG_TIME_NS…)")
    if not reasons and error.errno in (errno.EPERM, errno.EACCES):
        reasons.append("a container's seccomp profile or a security module forbids it; without: CAP_SYS_ADMIN, as root")
    return f"{error.filename or 'unshare'}: {error.strerror}" + "".join(f"; {reason}" for reason in reasons)


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return None
