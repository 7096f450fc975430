"""What stands in for QEMU in quick tests: takes the same options, and is a guest in a fraction of a second.

It registers with the switches that it is given, writes the ready line on its serial socket, and then has a real shell
on a real terminal there, with a `ping` of its own. Words of the kernel's command line change what it does:

    fake.die=N       writes a line to standard error and exits with status N before it is ready
    fake.silent      is never ready
    fake.noise=N     writes N octets of garbage to the serial line first
"""

import os
import pty
import re
import select
import socket
import sys
from pathlib import Path

from tests.vde_client import VdeClient

PING = """#!/bin/sh
# busybox's output, without a network. 10.0.0.99 never answers; 10.0.0.77 from the second call on.
for address; do :; done
case $address in
    10.0.0.99) received=0 ;;
    10.0.0.77) if [ -e "$0.seen" ]; then received=3; else received=1; : >"$0.seen"; fi ;;
    *) received=3 ;;
esac
echo "PING $address ($address): 56 data bytes"
echo "--- $address ping statistics ---"
echo "3 packets transmitted, $received packets received"
[ $received -gt 0 ]
"""


def option(name: str) -> list[str]:
    """All values of an option."""
    return [value for key, value in zip(sys.argv, sys.argv[1:], strict=False) if key == name]


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write("fake-qemu 1\n")
        return
    words = option("-append")[0].split()
    chosen = {word.partition("=")[0]: word.partition("=")[2] for word in words}
    if "fake.die" in chosen:
        sys.stderr.write("fake-qemu: it was told to die\n")
        sys.exit(int(chosen["fake.die"]))
    found = re.search(r"fd=([0-9]+)", option("-chardev")[0])
    assert found
    serial = socket.socket(fileno=int(found[1]))
    plugs = []
    for network in option("-netdev"):
        values = dict(item.partition("=")[::2] for item in network.split(","))
        plugs.append(VdeClient(Path(values["sock"]), int(values.get("port", "0"))))
    if "fake.noise" in chosen:
        serial.sendall(b"\x1b[2J\xff\x00\x07" * (int(chosen["fake.noise"]) // 7))
    serial.sendall(b"booting\r\n")
    if "fake.silent" not in chosen:
        serial.sendall(f"vde-guest ready: hostname={chosen['hostname']}\r\n".encode())
    shell(serial)


def shell(serial: socket.socket) -> None:
    """A shell on the serial line, until the other end closes it."""
    home = Path(os.environ["FAKE_QEMU_HOME"]) / str(os.getpid())
    home.mkdir()
    (home / "ping").write_text(PING)
    (home / "ping").chmod(0o755)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"PATH": f"{home}:/usr/bin:/bin", "PS1": "# ", "ENV": ""}
        os.execv("/bin/sh", ["sh", "-i"])
    while True:
        readable, _, _ = select.select([serial.fileno(), terminal], [], [])
        if serial.fileno() in readable:
            octets = serial.recv(4096)
            if not octets:
                return
            os.write(terminal, octets)
        if terminal in readable:
            try:
                serial.sendall(os.read(terminal, 4096))
            except OSError:
                return  # the shell has ended: so does the machine


if __name__ == "__main__":
    main()
