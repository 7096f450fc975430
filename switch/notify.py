"""Readiness for service managers: sd_notify(3)'s datagram, without libsystemd."""

import os
import socket


def notify_ready() -> None:
    """Send READY=1 to $NOTIFY_SOCKET (a path, or `@` and an abstract name) if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
        try:
            notification.connect(address)
            notification.send(f"READY=1\nMAINPID={os.getpid()}".encode())
        except OSError:
            return  # nobody waits any more
