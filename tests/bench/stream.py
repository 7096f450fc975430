"""One TCP stream between two network namespaces: the fastest that a socket of each gives and takes.

    ip netns exec B python -m tests.bench.stream receive ADDRESS PORT SECONDS     prints the rate in Gbit/s
    ip netns exec A python -m tests.bench.stream send ADDRESS PORT

The receiver counts, after a warm-up of `WARM_UP_S`, and hangs up; then the sender ends, too. Buffers are of 1 MiB, so
the interpreter is awake some thousand times a second at most and costs nothing that would be seen.
"""

import contextlib
import socket
import sys
from time import monotonic

OCTETS = 1 << 20
WARM_UP_S = 0.3
PATIENCE_S = 20.0


def receive(address: str, port: int, seconds: float) -> float:
    """Serve one connection; its rate in Gbit/s."""
    buffer = bytearray(OCTETS)
    with socket.create_server((address, port)) as server:
        print("listening", flush=True)  # noqa: T201
        server.settimeout(PATIENCE_S)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            begin = monotonic()
            while monotonic() - begin < WARM_UP_S:
                connection.recv_into(buffer)
            begin, octets = monotonic(), 0
            while (elapsed := monotonic() - begin) < seconds:
                octets += connection.recv_into(buffer)
            return octets * 8 / elapsed / 1e9


def send(address: str, port: int) -> None:
    """Send until the receiver has enough."""
    with socket.create_connection((address, port), PATIENCE_S) as connection, contextlib.suppress(ConnectionError):
        while True:
            connection.sendall(bytes(OCTETS))


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        print(receive(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))  # noqa: T201
    else:
        send(sys.argv[2], int(sys.argv[3]))
