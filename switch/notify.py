"""Readiness for service managers: sd_notify(3)'s datagram, without libsystemd."""

import os
import socket


def notify_ready() -> None:
    """Send READY=1 to $NOTIFY_SOCKET (a path, or `@` and an abstract name) if there is one."""
    _send(f"READY=1\nMAINPID={os.getpid()}")


def notify_status(text: str) -> None:
    """Send a line about how one is."""
    _send(f"STATUS={text}")


def _send(text: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
        try:
            notification.connect(address)
            notification.send(text.encode())
        except OSError:
            return  # nobody waits any more
