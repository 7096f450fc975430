"""A program as a user without any privilege, on a machine as Debian sets it up: /dev/net/tun open to all.

    [sys.executable, "-m", "tests.interop.unprivileged", PROGRAM, ARGUMENT…]      run as root, in the repository

Everything is done in a mount namespace of its own: the machine's /dev is not touched. Directories on the way to Python
and to the repository that only root may pass (as /root) are replaced there by empty ones with only that in them.
"""

import os
import stat
import sys
from pathlib import Path

from vde.host.kernel import CloneFlag, MountFlag, mount, unshare

NOBODY = 65534
TUN = (10, 200)  # Linux Documentation/admin-guide/devices.txt
ROOT = Path(__file__).parents[2]


def become_nobody() -> None:
    """Be the user nobody from now on."""
    unshare(CloneFlag.NEWNS)
    mount(None, "/", None, MountFlag.REC | MountFlag.SLAVE)
    device = Path("/mnt/tun")
    mount("tests", "/mnt", "tmpfs")
    os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(*TUN))
    device.chmod(0o666)
    mount(str(device), "/dev/net/tun", None, MountFlag.BIND)
    for path in dict.fromkeys((Path(sys.base_prefix), Path(sys.prefix), ROOT)):
        _open_way(path)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _open_way(path: Path) -> None:
    for ancestor in reversed(path.parents):
        if not ancestor.stat().st_mode & stat.S_IXOTH:
            way = os.open(path, os.O_PATH)
            mount("tests", str(ancestor), "tmpfs", 0, "mode=755")
            path.mkdir(parents=True)
            mount(f"/proc/self/fd/{way}", str(path), None, MountFlag.BIND)
            os.close(way)
            return


if __name__ == "__main__":
    become_nobody()
    os.execvp(sys.argv[1], sys.argv[1:])
