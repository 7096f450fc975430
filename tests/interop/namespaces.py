"""Programs in network namespaces that a test made."""

import subprocess

PATIENCE_S = 20.0


def in_namespace(name: str, *arguments: str) -> str:
    """What a program prints there."""
    return subprocess.run(
        ["ip", "netns", "exec", name, *arguments], check=True, capture_output=True, text=True, timeout=PATIENCE_S
    ).stdout
