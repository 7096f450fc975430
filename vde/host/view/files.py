"""The view's files: an overlay as the new root, binds, resolv.conf, and what shows the network and the processes.

Order: the overlay is assembled beside the old root, and becomes the root; then binds are made into it, from the old
root, which goes last. So a bind shows a file of outside through the overlay.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from vde.errors import ConfigError
from vde.host.kernel import MountFlag, mount, pivot_root, umount
from vde.host.view.overlay import Layers, Mounted, make_read_only, read_mounts
from vde.host.view.plan import View

RESOLV_CONF = "/etc/resolv.conf"


def arrange(view: View, scratch: Path | None, *, privileged: bool) -> None:
    """Do all of it, in a mount namespace of our own.

    Args:
        view: what is wanted.
        scratch: an empty directory of outside, if the view needs one.
        privileged: we are in no user namespace of our own.

    Raises:
        ConfigError: something in it is not possible.
        OSError: the kernel refuses.
    """
    working = os.getcwd()
    mount(None, "/", None, MountFlag.REC | MountFlag.SLAVE)
    mounts = read_mounts(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    sources = [(bind, _open(bind.source)) for bind in view.binds]
    resolver = None
    if scratch is not None:
        mount("vde-view", str(scratch), "tmpfs", MountFlag.NOSUID | MountFlag.NODEV, "mode=0755")
        if view.dns:
            (scratch / "resolv.conf").write_text(resolver_file(view.dns))
            resolver = _open(scratch / "resolv.conf")
    with _root(view, scratch, mounts, privileged=privileged):
        if resolver is not None:
            _bind(resolver, Path(RESOLV_CONF), f"{RESOLV_CONF} (for the name servers)", read_only=True)
        for bind, source in sources:
            _bind(source, bind.target, f"{bind.source}:{bind.target}", read_only=bind.read_only)
        if view.own_network or view.nets:
            _show_network()
    if scratch is not None and view.overlay is None:
        umount(str(scratch))
    try:
        os.chdir(working)
    except OSError:
        os.chdir("/")


def show_processes() -> None:
    """/proc of the process namespace that we are the first in.

    Raises:
        OSError: the kernel refuses, as in most containers.
    """
    mount("proc", "/proc", "proc", MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC)


def resolver_file(servers: Sequence[IPv4Address | IPv6Address]) -> str:
    """resolv.conf(5) for these."""
    return "".join(f"nameserver {server}\n" for server in servers)


@contextlib.contextmanager
def _root(view: View, scratch: Path | None, mounts: Sequence[Mounted], *, privileged: bool) -> Iterator[None]:
    """The body runs with the new root, and the old one within reach of descriptors."""
    if view.overlay is None:
        yield
        return
    directory = view.overlay.directory
    if directory is None:
        assert scratch is not None
        directory = scratch
        _need_attributes(scratch, privileged=privileged)
    layers = Layers(directory.absolute(), mounts, view.overlay.own, privileged=privileged)
    os.chdir(layers.assemble())
    pivot_root(".", ".")
    yield
    umount(".")
    os.chdir("/")


def _need_attributes(scratch: Path, *, privileged: bool) -> None:
    """Memory must be able to say that a directory replaces another."""
    try:
        os.setxattr(scratch, "trusted.vde" if privileged else "user.vde", b"1")
    except OSError:
        raise ConfigError(
            "an overlay in memory: this kernel's tmpfs cannot hold it for a user (Linux 6.6 can): name a directory "
            "on a disk: --overlay DIRECTORY"
        ) from None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"bind {path}: {error.strerror}") from None


def _bind(source: int, target: Path, shown: str, *, read_only: bool) -> None:
    try:
        mount(f"/proc/self/fd/{source}", str(target), None, MountFlag.BIND | MountFlag.REC)
        if read_only:
            make_read_only(str(target))
    except FileNotFoundError:
        raise ConfigError(
            f"bind {shown}: there is no {target}: make it outside, or with an overlay inside, before"
        ) from None
    except NotADirectoryError:
        raise ConfigError(f"bind {shown}: one is a directory and the other is a file") from None
    except OSError as error:
        raise ConfigError(f"bind {shown}: {error.strerror}") from None
    finally:
        os.close(source)


def _show_network() -> None:
    """/sys/class/net of the new namespace. A container may forbid it: programs that use netlink do without."""
    with contextlib.suppress(OSError, ConfigError):
        groups = _open(Path("/sys/fs/cgroup"))
        mount("sysfs", "/sys", "sysfs", MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC)
        _bind(groups, Path("/sys/fs/cgroup"), "/sys/fs/cgroup", read_only=False)
