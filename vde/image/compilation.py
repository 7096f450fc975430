"""What decides, beside the sources, what a build here makes: the kernel's configuration, the programs' environment.

Recipes that are built (`vde.image.crossbuild`) have it in their fingerprints: when it changes, their
images are made anew.
"""

import hashlib
from pathlib import Path
from typing import Final

CONFIGURATION: Final = Path(__file__).with_name("pmac32.config")
FIXED: Final = {
    "LC_ALL": "C",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": "1735689600",
    "KBUILD_BUILD_TIMESTAMP": "2025-01-01 00:00:00 UTC",
    "KBUILD_BUILD_USER": "vde",
    "KBUILD_BUILD_HOST": "vde",
    "KBUILD_BUILD_VERSION": "1",
}
"""1 January 2025. Chosen."""


def fingerprint() -> str:
    """What else than the recipe decides how the image is made."""
    return hashlib.sha256(CONFIGURATION.read_bytes() + repr(sorted(FIXED.items())).encode()).hexdigest()
