"""The user database: names and numbers of users and groups, and who is a member of what."""

import errno
import grp
import os
import pwd

from vde.errors import Refused

UNRESTRICTED = ("NONE", "ANY")
NOBODY = (1 << 32) - 1  # chown(2): -1 means no user at all


def is_member(uid: int, gid: int) -> bool:
    """Is the user a member of the group, primary or supplementary?"""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    return gid in os.getgrouplist(user.pw_name, user.pw_gid)


def user_number(text: str) -> int | None:
    """A user's name or number; `NONE` and `ANY` are None. Raises `Refused` (EINVAL)."""
    if text in UNRESTRICTED:
        return None
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        if text.isascii() and text.isdigit() and int(text) < NOBODY:
            return int(text)
    raise Refused(errno.EINVAL, f"no such user: {text!r}")


def group_number(text: str) -> int | None:
    """A group's name or number; `NONE` and `ANY` are None. Raises `Refused` (EINVAL)."""
    if text in UNRESTRICTED:
        return None
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        if text.isascii() and text.isdigit() and int(text) < NOBODY:
            return int(text)
    raise Refused(errno.EINVAL, f"no such group: {text!r}")


def user_name(uid: int | None) -> str:
    """As the console prints it: the name, the number if it has none, or NONE."""
    if uid is None:
        return "NONE"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int | None) -> str:
    """As the console prints it: the name, the number if it has none, or NONE."""
    if gid is None:
        return "NONE"
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
