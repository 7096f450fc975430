"""A DHCP, TFTP and HTTP server for machines that boot over the network, for tests: one client at a time.

python -m tests.interop.boot_server INTERFACE DIRECTORY NAME        NAME: the file that the client is told to start

It answers on 192.0.2.1 and gives 192.0.2.2; it says `ready`, then what it is asked. RFC 2131 (DHCP), RFC 1350 (TFTP),
RFC 2347 and 2348 (the size of a block); HTTP by Python's own server.
"""

import functools
import http.server
import select
import socket
import struct
import sys
import threading
from pathlib import Path

SERVER, CLIENT, MASK = (socket.inet_aton(text) for text in ("192.0.2.1", "192.0.2.2", "255.255.255.0"))
COOKIE = b"\x63\x82\x53\x63"  # RFC 2131 §3
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
READ, DATA, ACKNOWLEDGEMENT, OPTIONS = 1, 3, 4, 6  # RFC 1350 §5, RFC 2347


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def dhcp_answer(query: bytes, name: str) -> bytes | None:
    """RFC 2131 table 3."""
    if len(query) < 241 or query[236:240] != COOKIE:
        return None
    at, kind = 240, 0
    while at + 1 < len(query) and query[at] != 255:
        if query[at] == 53:
            kind = query[at + 2]
        at += 1 if query[at] == 0 else 2 + query[at + 1]
    answer = {DISCOVER: OFFER, REQUEST: ACK}.get(kind)
    if answer is None:
        return None
    tell(f"dhcp {kind} from {query[28:34].hex(':')}")
    head = struct.pack("!4B4sHH4s4s4s4s", 2, 1, 6, 0, query[4:8], 0, 0x8000, bytes(4), CLIENT, SERVER, bytes(4))
    options = b"".join(
        bytes((number, len(value))) + value
        for number, value in (
            (53, bytes((answer,))),
            (54, SERVER),
            (51, struct.pack("!I", 3600)),
            (1, MASK),
            (66, b"192.0.2.1"),
            (67, name.encode()),
        )
    )
    return head + query[28:44] + bytes(64) + name.encode().ljust(128, b"\0") + COOKIE + options + b"\xff"


def serve_file(request: bytes, who: tuple[str, int], directory: Path) -> None:
    """One transfer, from a port of its own."""
    fields = request[2:].split(b"\0")
    contents = (directory / Path(fields[0].decode()).name).read_bytes()
    wanted = dict(zip([word.lower() for word in fields[2::2]], fields[3::2], strict=False))
    tell(f"tftp {fields[0].decode()}")
    size = int(wanted.get(b"blksize", b"512"))
    answers = b"".join(
        name + b"\0" + value + b"\0"
        for name, value in ((b"blksize", b"%d" % size), (b"tsize", b"%d" % len(contents)))
        if name in wanted
    )
    blocks = [contents[at : at + size] for at in range(0, len(contents) + 1, size)]
    packets = [struct.pack("!HH", DATA, number & 0xFFFF) + block for number, block in enumerate(blocks, 1)]
    if answers:
        packets.insert(0, struct.pack("!H", OPTIONS) + answers)
    first = 0 if answers else 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.bind(("192.0.2.1", 0))
        for number, packet in enumerate(packets, first):
            for _ in range(10):
                sock.sendto(packet, who)
                try:
                    answer = sock.recv(600)
                except TimeoutError:
                    continue
                if answer[:2] != struct.pack("!H", ACKNOWLEDGEMENT):
                    return  # the client has seen the size, and asks again
                if answer[2:4] == struct.pack("!H", number & 0xFFFF):
                    break
            else:
                return
    tell(f"tftp done {len(contents)}")


class WebPages(http.server.SimpleHTTPRequestHandler):
    """The directory."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        tell(f'http "{self.requestline}" {code}')


def main() -> None:
    interface, directory, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    web = http.server.ThreadingHTTPServer(("192.0.2.1", 80), functools.partial(WebPages, directory=str(directory)))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    dhcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dhcp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    dhcp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    dhcp.bind(("", 67))
    tftp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tftp.bind(("192.0.2.1", 69))
    tell("ready")
    while True:
        for sock in select.select([dhcp, tftp], [], [])[0]:
            octets, who = sock.recvfrom(2000)
            if sock is dhcp:
                answer = dhcp_answer(octets, name)
                if answer is not None:
                    dhcp.sendto(answer, ("255.255.255.255", 68))
            elif octets[:2] == struct.pack("!H", READ):
                serve_file(octets, who, directory)


if __name__ == "__main__":
    main()
