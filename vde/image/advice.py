"""Turn what apt complains about into what to do about it."""

import re
from collections.abc import Sequence

# What apt says, and what to do about it; the first that matches is shown.
_ADVICE = (
    (r"No space left on device|Disk quota exceeded", "the disk is full: make room in the cache directory"),
    (
        r"does not have a Release file|Failed to fetch \S+Release +[45]\d\d",
        "there is no such archive or suite at this address, or something on the way refuses it",
    ),
    (
        r"NO_PUBKEY|EXPKEYSIG|not signed|signature|GPG error|Signed-By",
        "the archive's signature could not be verified: install or upgrade the package debian-archive-keyring "
        "(Debian ports: debian-ports-archive-keyring); an unsigned archive is never used",
    ),
    (
        r"Hash Sum mismatch|unexpected size|Mirror sync",
        "what came is not what the signed index names: the mirror is being updated or a proxy altered it; try later",
    ),
    (
        r"resolv|onnect|timed out|unreachable|Network|TLS|ertificate",
        "no connection to the archive: check the network, and the proxy if apt uses one (Acquire::http::Proxy)",
    ),
    (r"404 +Not Found", "the archive has not got it under this address any more: check the machine's apt sources"),
    (r"expired|Valid-Until|not valid yet", "the index is out of date or this machine's clock is wrong"),
)


def explain(failure: str, complaints: Sequence[str]) -> str:
    """A failure with what apt says about it and what to do.

    Args:
        failure: what was wanted and did not happen.
        complaints: apt's lines.
    """
    text = "\n".join(complaints)
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, text)), None)
    parts = [failure] if advice is None else [f"{failure}: {advice}"]
    return "\n".join([*parts, *(f"  apt: {line}" for line in complaints)])
