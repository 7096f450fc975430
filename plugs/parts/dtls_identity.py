"""Who an end of a `dtls://` tunnel is, and whom it believes: contexts of OpenSSL, from a shared key or certificates.

**Shared key.** Both ends derive two P-256 key pairs from it by HKDF-SHA256 (RFC 5869), one for the listener and one for
the connector; each end shows a self-signed certificate of its own role's, and accepts exactly the other role's public
key. Who does not know the shared key can make neither. See docs/decisions on why not PSK cipher suites.

**Certificates.** Chains to `ca`, or one pinned certificate (`peer`, the SHA-256 of its DER octets, as
`openssl x509 -noout -fingerprint -sha256` prints it), or both.

DTLS 1.2 with ECDHE and AEAD ciphers only. No resumption, tickets or renegotiation: every association has fresh keys.
"""

import datetime
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from vde.errors import ConfigError

KEY_OCTETS = 32
DTLS_1_2 = 0xFEFD  # RFC 6347 §4.1
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384"
)
LISTENER, CONNECTOR = "listener", "connector"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4 D.1.2.3
_SCALAR_OCTETS = 48  # FIPS 186-5 A.2.1: 64 bits more than the order
_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
_FINGERPRINT = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
KEY_FILE_OCTETS = 4096


@dataclass(frozen=True)
class Identity:
    """Makes contexts: `context(refused)`; `refused` is called for every peer whose certificate is not accepted."""

    context: Callable[[Callable[[], None]], SSL.Context]
    shown: str


def new_key(random: Callable[[int], bytes]) -> str:
    """The text of a key file."""
    return f"# A key of vde-fabric (dtls://): whoever has it, is in.\n{random(KEY_OCTETS).hex()}\n"


def read_key(path: str) -> bytes:
    """The key of a key file: comments (`#`), and one line of 64 hexadecimal digits.

    Raises:
        ConfigError: it cannot be read, is no key, or others may read it.
    """
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            octets = file.read(KEY_FILE_OCTETS)
    except OSError as error:
        raise ConfigError(f"dtls://: key={path}: {error.strerror}") from error
    if mode & 0o007:
        raise ConfigError(f"dtls://: key={path}: others may read it (mode {mode:04o}): chmod 600 {path}")
    lines = [line.strip() for line in octets.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) != 1 or not _HEX_KEY.fullmatch(lines[0]):
        raise ConfigError(f"dtls://: key={path}: one line of 64 hexadecimal digits was expected: vde key new FILE")
    return bytes.fromhex(lines[0])


def key_name(key: bytes) -> str:
    """A short name of a key, which tells nothing of it."""
    return HKDF(hashes.SHA256(), 8, None, b"vde dtls 1 name").derive(key).hex()


def private_key(key: bytes, role: str) -> ec.EllipticCurvePrivateKey:
    """The role's key pair."""
    octets = HKDF(hashes.SHA256(), _SCALAR_OCTETS, None, f"vde dtls 1 {role}".encode()).derive(key)
    return ec.derive_private_key(int.from_bytes(octets) % (_ORDER - 1) + 1, ec.SECP256R1())


def certificate_of(private: ec.EllipticCurvePrivateKey, role: str) -> x509.Certificate:
    """A self-signed certificate. Nothing in it but the public key is looked at."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"vde {role}")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC))  # RFC 5280 §4.1.2.5: no expiry
        .sign(private, hashes.SHA256())
    )


def from_key(key: bytes, role: str) -> Identity:
    """The identity of `role` by a shared key."""
    other = CONNECTOR if role == LISTENER else LISTENER
    private = private_key(key, role)
    certificate = certificate_of(private, role)
    expected = _public_octets(private_key(key, other).public_key())

    def context(refused: Callable[[], None]) -> SSL.Context:
        def verify(_: SSL.Connection, shown: crypto.X509, _error: int, depth: int, _ok: int) -> bool:
            found = shown.to_cryptography().public_key()
            good = depth == 0 and isinstance(found, ec.EllipticCurvePublicKey)
            if good and isinstance(found, ec.EllipticCurvePublicKey):
                good = hmac.compare_digest(_public_octets(found), expected)
            if not good:
                refused()
            return good

        made = _bare_context()
        made.use_certificate(certificate)
        made.use_privatekey(private)
        made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return made

    return Identity(context, f"key {key_name(key)}")


def from_files(cert: str, key: str, ca: str | None, peer: str | None, name: str | None) -> Identity:
    """By certificates.

    Raises:
        ConfigError: a file cannot be read, or does not fit; nobody is named that could be believed.
    """
    if ca is None and peer is None:
        raise ConfigError("dtls://: whom to believe? ca=FILE or peer=FINGERPRINT was expected beside cert=")
    pinned = None
    if peer is not None:
        found = _FINGERPRINT.fullmatch(peer.lower().replace(":", "").replace("sha256", ""))
        if not found:
            raise ConfigError(
                f"dtls://: peer={peer}: the SHA-256 of a certificate (64 hexadecimal digits) was expected"
            )
        pinned = bytes.fromhex(found[1])
    for option, path in (("cert", cert), ("key", key), ("ca", ca)):
        if path is not None and not os.access(path, os.R_OK):
            raise ConfigError(f"dtls://: {option}={path}: cannot be read")

    def context(refused: Callable[[], None]) -> SSL.Context:
        def verify(_: SSL.Connection, shown: crypto.X509, _error: int, depth: int, ok: int) -> bool:
            good = bool(ok) or ca is None
            if good and depth == 0:
                certificate = shown.to_cryptography()
                if pinned is not None:
                    octets = certificate.public_bytes(serialization.Encoding.DER)
                    good = hmac.compare_digest(hashlib.sha256(octets).digest(), pinned)
                if good and name is not None:
                    good = name in _names(certificate)
            elif good and ca is None:
                good = True  # of a pinned certificate, only itself counts
            if not good:
                refused()
            return good

        made = _bare_context()
        try:
            made.use_certificate_chain_file(cert)
            made.use_privatekey_file(key)
            made.check_privatekey()
            if ca is not None:
                made.load_verify_locations(ca)
        except SSL.Error as error:
            reason = error.args[0][0][2] if error.args and error.args[0] else "not PEM"
            raise ConfigError(f"dtls://: cert={cert}, key={key}, ca={ca}: {reason}") from error
        made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return made

    context(lambda: None)
    return Identity(context, f"certificate {Path(cert).name}")


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _bare_context() -> SSL.Context:
    made = SSL.Context(SSL.DTLS_METHOD)
    made.set_min_proto_version(DTLS_1_2)
    made.set_cipher_list(CIPHERS)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION)
    return made


def _public_octets(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
