"""Sign like an archive does: one RSA key, clear-signed text; enough of RFC 4880 for apt and gpgv.

The keys are test data, made for this file; they guard nothing.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass

_EXPONENT = 65537
_RSA, _SHA256 = 1, 8  # RFC 4880 §9.1, §9.4
_TEXT_SIGNATURE, _POSITIVE_CERTIFICATION = 0x01, 0x13  # §5.2.1
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 §9.2, note 1


@dataclass(frozen=True)
class Key:
    p: int
    q: int
    name: str = "Test archive <archive@example.invalid>"
    created: int = 1_600_000_000

    @property
    def n(self) -> int:
        return self.p * self.q

    def public_packet(self) -> bytes:
        return b"\x04" + struct.pack(">I", self.created) + bytes([_RSA]) + _mpi(self.n) + _mpi(_EXPONENT)

    def fingerprint(self) -> bytes:
        return hashlib.sha1(_as_hashed(self.public_packet())).digest()

    def keyring(self) -> bytes:
        """What `Signed-By` names."""
        name = self.name.encode()
        hashed = _as_hashed(self.public_packet()) + b"\xb4" + struct.pack(">I", len(name)) + name
        may_sign = b"\x02\x1b\x03"  # key flags: certify and sign
        signature = self._signature(_POSITIVE_CERTIFICATION, hashed, may_sign)
        return _packet(6, self.public_packet()) + _packet(13, name) + _packet(2, signature)

    def clear_sign(self, text: str) -> str:
        """The text with its signature: an InRelease file."""
        canonical = "\r\n".join(line.rstrip() for line in text.rstrip("\n").split("\n"))
        packet = _packet(2, self._signature(_TEXT_SIGNATURE, canonical.encode()))
        armored = base64.b64encode(packet).decode()
        lines = [armored[start : start + 64] for start in range(0, len(armored), 64)]
        check = base64.b64encode(struct.pack(">I", _crc24(packet))[1:]).decode()
        return "\n".join(
            (
                "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n",
                text.rstrip("\n"),
                "-----BEGIN PGP SIGNATURE-----\n",
                *lines,
                f"={check}",
                "-----END PGP SIGNATURE-----\n",
            )
        )

    def _signature(self, kind: int, hashed: bytes, subpackets: bytes = b"") -> bytes:
        subpackets = b"\x05\x02" + struct.pack(">I", self.created) + b"\x16\x21\x04" + self.fingerprint() + subpackets
        head = bytes([4, kind, _RSA, _SHA256]) + struct.pack(">H", len(subpackets)) + subpackets
        digest = hashlib.sha256(hashed + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
        width = (self.n.bit_length() + 7) // 8
        payload = _SHA256_INFO + digest
        padded = b"\x00\x01" + b"\xff" * (width - 3 - len(payload)) + b"\x00" + payload
        secret = pow(_EXPONENT, -1, (self.p - 1) * (self.q - 1))
        signed = pow(int.from_bytes(padded, "big"), secret, self.n)
        issuer = b"\x09\x10" + self.fingerprint()[-8:]
        return head + struct.pack(">H", len(issuer)) + issuer + digest[:2] + _mpi(signed)


def _mpi(number: int) -> bytes:
    return struct.pack(">H", number.bit_length()) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def _as_hashed(public: bytes) -> bytes:
    return b"\x99" + struct.pack(">H", len(public)) + public


def _crc24(data: bytes) -> int:
    crc = 0xB704CE  # RFC 4880 §6.1
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc & 0xFFFFFF


TEST_KEY = Key(
    int(
        "da35788149efca3288ebfe0be837e965c36d1e988f391eaad3a7dcb605a810f53420353c926528d6b765fe9fd568369d"
        "f11f0404d9198ee08cbd6b0aedd756367e311635f906032bd40d9efbfc5fcc11d1bba5009904899be568ccedc64d272a"
        "432cb0161e1093b8af0cd86f65951d7c06f042f80602f041d5ad570ff3e4a94b",
        16,
    ),
    int(
        "c50cabbfdacfe609b64e8741ce5e8595a8747faa4398ca113c9b1e30f81683652144b715f9eb02d6a27351de0255bc85"
        "b7094b3eac3246f67a38e29d26cacfd5db756e9146093e1757a8b0b008081438e68ea9a677974e0acb39baabedf9c3e7"
        "3ca7b1c7cc9fb5226ab21274a5e21d8356584feac6ec6c4a18a30decee0cace1",
        16,
    ),
)
