"""The registration request of a VDE client, and the switch's answer (libvdeplug's `datasock` protocol).

Native byte order, one `send` on the control connection. Version 3, packed (libvdeplug 2 and 4):

    offset size
    0      4     magic 0xFEEDFACE
    4      4     version, 3
    8      4     type: bits 7:0 request (0 = new control, 1 = management port 0), bits 31:8 wanted port (0 = any)
    12     2     sun_family, AF_UNIX
    14     108   sun_path of the client's data socket; a leading NUL: abstract name, all 108 octets count
    122    0…    description, not terminated

User-Mode Linux, Bochs and Dynamips declare the same structure unpacked: 124 octets, the last two of them padding, which
parses as an (empty or garbage) description. Version 1 (uml_switch):

    0      4     magic
    4      4     type, 0 or 1 (where version 3 has its version)
    8      6     address, ignored
    14     110   sun_family and sun_path
    124    0…    description

The answer is a `sockaddr_un` of exactly 110 octets that names the switch's data socket.

Not supported: version 0 and 2 (nor does vde_switch); they are refused by closing the connection.
"""

import struct
from dataclasses import dataclass

from vde.errors import WireError

MAGIC = 0xFEEDFACE
AF_UNIX = 1
SUN_PATH_OCTETS = 108  # unix(7)
DESCRIPTION_OCTETS = 128  # libvdeplug's bound
HEADER = struct.Struct("=III")  # magic, version, type
ADDRESS = struct.Struct(f"=H{SUN_PATH_OCTETS}s")  # sun_family, sun_path
V3_OCTETS = HEADER.size + ADDRESS.size  # 122
V1_ADDRESS_OFFSET = 14
V1_OCTETS = V1_ADDRESS_OFFSET + ADDRESS.size  # 124
MOST_OCTETS = V1_OCTETS + DESCRIPTION_OCTETS
LEAST_OCTETS = V3_OCTETS

REQ_NEW_CONTROL = 0
REQ_NEW_PORT0 = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for.

    Attributes:
        port: the wanted port number, 0 for any.
        management: REQ_NEW_PORT0: the management port, number 0.
        address: the client's data socket as `socket.connect` takes it: a path, or 108 octets that begin with NUL;
            empty if the client named none.
        description: free text, cut at the first NUL, undecodable octets kept as surrogates.
    """

    port: int
    management: bool
    address: bytes
    description: str

    def emit(self) -> bytes:
        """The packed version 3 layout."""
        kind = self.port << 8 | (REQ_NEW_PORT0 if self.management else REQ_NEW_CONTROL)
        head = HEADER.pack(MAGIC, 3, kind) + ADDRESS.pack(AF_UNIX, self.address)
        return head + self.description.encode(errors="surrogateescape")


def parse(octets: bytes) -> Request:
    """A request as received, of at least `LEAST_OCTETS`.

    Raises:
        WireError: with the words that vde_switch logs.
    """
    if len(octets) < LEAST_OCTETS:
        raise WireError(f"a request of {len(octets)} octets: at least {LEAST_OCTETS} were expected")
    magic, version, kind = HEADER.unpack_from(octets)
    if magic != MAGIC:
        raise WireError("V0 request not supported")
    if version == 3:
        offset = HEADER.size
    elif version in (REQ_NEW_CONTROL, REQ_NEW_PORT0):
        kind, offset = version, V1_ADDRESS_OFFSET
    else:
        raise WireError(f"Request for a version {version} port, which this vde_switch doesn't support")
    if kind & 0xFF not in (REQ_NEW_CONTROL, REQ_NEW_PORT0):
        raise WireError(f"Bad request type : {kind & 0xFF}")
    if len(octets) < offset + ADDRESS.size:
        raise WireError(f"a version 1 request of {len(octets)} octets: at least {V1_OCTETS} were expected")
    family, path = ADDRESS.unpack_from(octets, offset)
    if family != AF_UNIX:
        raise WireError(f"the data socket's address family is {family}: {AF_UNIX} (AF_UNIX) was expected")
    if path[0]:
        path = path.split(b"\0", 1)[0]
    elif not any(path):
        path = b""
    description = octets[offset + ADDRESS.size :][:DESCRIPTION_OCTETS].split(b"\0", 1)[0]
    return Request(
        port=kind >> 8,
        management=kind & 0xFF == REQ_NEW_PORT0,
        address=path,
        description=description.decode(errors="surrogateescape"),
    )


def emit_reply(path: str) -> bytes:
    """The 110 octets that name the switch's data socket.

    Raises:
        WireError: the path does not fit `sun_path` with its terminating NUL.
    """
    name = path.encode(errors="surrogateescape")
    if len(name) >= SUN_PATH_OCTETS:
        raise WireError(f"{path!r} is {len(name)} octets long: a socket's path has at most {SUN_PATH_OCTETS - 1}")
    return ADDRESS.pack(AF_UNIX, name)
