"""A file system of which only the changes are ours: overlayfs over every directory of the host.

    DIRECTORY/upper/…    what was changed, at its place; readable from outside while the view runs, and afterwards
    DIRECTORY/work/…     overlayfs's own
    DIRECTORY/root       a mount point, seen empty from outside

Theory of operation. `upper`, bound to `root`, becomes the root. The directories of the host's root are mounted onto
the same ones of it: what the kernel makes (/proc, /sys, /dev, and whatever lies in them) as it is, all else as an
overlay whose upper layer is the directory below. The kernel refuses to overlay a directory with other mounts in it for
a user who may not unmount those, so such a directory is walked: each entry is treated as one of the root is. What is
no directory there is bound, files read-only.

Without privilege only the user's own number means something in the namespace, and files of all others seem to be
nobody's: they can be read where that was so before, but not be changed, nor can anything be made beside them. In
directories named as `own` it can: they, and empty files there (locks), are made anew in the upper layer, and so belong
to the user. A file there can be replaced and removed, but not be written in place. The directories on the way to the
home and the working directory are made so without being asked for.

Kernel: 5.11 for users, 6.6 to keep changes in memory there. Source: Linux Documentation/filesystems/overlayfs.rst.
Limits: a path without colons and commas for `DIRECTORY`; its file system must not be an overlay itself.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vde.errors import ConfigError
from vde.host.kernel import MountFlag, mount

_PSEUDO_WORDS = """
autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs proc
pstore rpc_pipefs securityfs selinuxfs sysfs tracefs
"""
PSEUDO = frozenset(_PSEUDO_WORDS.split())
AS_THEY_ARE = ("/proc", "/sys", "/dev")
_ESCAPE = re.compile(rb"\\([0-7]{3})")  # blanks, tabs, line feeds and backslashes of paths
_MOUNTS_MAX = 20_000  # the kernel allows 100 000 (fs.mount-max)


@dataclass(frozen=True)
class Mounted:
    """A line of /proc/self/mountinfo."""

    path: str
    kind: str


def read_mounts(text: str) -> list[Mounted]:
    """The mounts of a mountinfo file, proc_pid_mountinfo(5), of which later ones hide earlier ones."""
    found = []
    for line in text.splitlines()[:_MOUNTS_MAX]:
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        if len(words) >= 5 and after:
            path = _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), os.fsencode(words[4]))
            found.append(Mounted(os.fsdecode(path), after.split(" ")[0]))
    return found


class Layers:
    """An overlay in the making. In the view's mount namespace, before the root is changed."""

    def __init__(self, directory: Path, mounts: Sequence[Mounted], own: Sequence[Path], *, privileged: bool) -> None:
        """Make the directories.

        Args:
            directory: where changes go.
            mounts: of outside.
            own: see the module's text.
            privileged: we are in no user namespace of our own.

        Raises:
            ConfigError: the directory cannot be used.
        """
        self.root = directory / "root"
        self._upper = directory / "upper"
        self._work = directory / "work"
        self._own = [os.path.normpath(path) for path in own]
        self._privileged = privileged
        self._count = 0
        if any(character in str(directory) for character in ":,\\"):
            raise ConfigError(f"overlay {directory}: a path without ':', ',' and '\\' was expected")
        for path in own:
            if not path.is_dir():
                raise ConfigError(f"own {path}: there is no such directory")
        try:
            for path in (self.root, self._upper, self._work):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"overlay {directory}: {error.filename}: {error.strerror}") from None
        self._mounts = mounts

    def assemble(self) -> Path:
        """Mount everything; the new root.

        Raises:
            OSError, ConfigError.
        """
        mount(str(self._upper), str(self.root), None, MountFlag.BIND)
        self._walk("/")
        return self.root

    def _place(self, path: str) -> str:
        return f"{self.root}{path}".rstrip("/")

    def _entry(self, path: str) -> None:
        kind = next((mounted.kind for mounted in reversed(self._mounts) if mounted.path == path), "")
        if kind in PSEUDO or path in AS_THEY_ARE:
            self._directory(path)
            mount(path, self._place(path), None, MountFlag.BIND | MountFlag.REC)
        elif any(mounted.path.startswith(f"{path}/") for mounted in self._mounts):
            self._directory(path)
            self._walk(path)
        else:
            self._overlay(path)

    def _walk(self, path: str) -> None:
        for entry in _entries(path):
            place = self._place(entry.path)
            with contextlib.suppress(FileNotFoundError):  # files come and go
                if entry.is_symlink():
                    if not os.path.lexists(place):
                        os.symlink(os.readlink(entry.path), place)
                elif entry.is_dir(follow_symlinks=False):
                    self._entry(entry.path)
                elif not os.path.lexists(place) or os.path.getsize(place) == 0:
                    with open(place, "ab"):
                        pass
                    mount(entry.path, place, None, MountFlag.BIND)
                    if entry.is_file(follow_symlinks=False):
                        make_read_only(place)

    def _directory(self, path: str) -> None:
        """The same directory in the upper layer, of the same mode, and where we can, owner."""
        place = self._place(path)
        if not os.path.isdir(place):
            found = os.stat(path)
            os.mkdir(place, 0o700)
            if self._privileged:
                os.chown(place, found.st_uid, found.st_gid)
            os.chmod(place, stat.S_IMODE(found.st_mode) | 0o700)

    def _overlay(self, path: str) -> None:
        self._directory(path)
        self._take(path)
        work = self._work / str(self._count)
        self._count += 1
        work.mkdir(exist_ok=True)
        upper = _quoted(f"{self._upper}{path}")
        options = f"lowerdir={_quoted(path)},upperdir={upper},workdir={work}"
        if not self._privileged:
            options += ",userxattr"
        try:
            mount("overlay", self._place(path), "overlay", 0, options)
        except OSError as error:
            raise ConfigError(
                f"overlay of {path}: {error.strerror}: the kernel must have overlayfs (5.11 or later for users), and "
                f"{self.root.parent} must be on a file system that can hold the changes (no overlay, no network)"
            ) from None

    def _take(self, path: str) -> None:
        """Make directories and empty files below what is `own` ours."""
        if self._privileged:
            return
        for used in (os.getcwd(), os.path.expanduser("~")):
            if used.startswith(f"{path}/"):
                with contextlib.suppress(OSError):
                    self._way(path, used)
        for own in self._own:
            if own == path or own.startswith(f"{path.rstrip('/')}/"):
                self._way(path, own)
                self._take_below(own)
            elif path.startswith(f"{own.rstrip('/')}/"):
                self._take_below(path)

    def _way(self, path: str, directory: str) -> None:
        """The directories between, and the last one, are ours."""
        steps = os.path.relpath(directory, path).split("/")
        for number in range(len(steps)):
            self._directory(os.path.normpath(os.path.join(path, *steps[: number + 1])))

    def _take_below(self, path: str) -> None:
        for entry in _entries(path):
            place = self._place(entry.path)
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    if not os.path.lexists(place) or os.path.isdir(place):
                        self._directory(entry.path)
                        self._take_below(entry.path)
                elif (
                    entry.is_file(follow_symlinks=False)
                    and not os.path.lexists(place)
                    and entry.stat(follow_symlinks=False).st_size == 0
                ):
                    with open(place, "xb"):
                        pass


def make_read_only(path: str) -> None:
    """A bind mount, read-only from now on. The flags that it has must be repeated: a user may not take them away."""
    held = os.statvfs(path).f_flag
    flags = MountFlag.BIND | MountFlag.REMOUNT | MountFlag.RDONLY
    for mine, theirs in (
        (os.ST_NOSUID, MountFlag.NOSUID),
        (os.ST_NODEV, MountFlag.NODEV),
        (os.ST_NOEXEC, MountFlag.NOEXEC),
        (os.ST_NOATIME, MountFlag.NOATIME),
        (os.ST_NODIRATIME, MountFlag.NODIRATIME),
        (os.ST_RELATIME, MountFlag.RELATIME),
    ):
        if held & mine:
            flags |= theirs
    mount(None, path, None, flags)


def _entries(path: str) -> Iterator["os.DirEntry[str]"]:
    """What is in a directory; nothing if we may not look."""
    try:
        with os.scandir(path) as found:
            yield from list(found)
    except PermissionError:
        return


def _quoted(path: str) -> str:
    """overlayfs cuts its options at `:` and `,`."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
