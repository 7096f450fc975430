"""MAC addresses that follow from names: the same in every run, different in every lab, whatever the order of the file.

A counter would give two labs on one wire the same addresses, and shift them all when a node is added.
"""

import hashlib


def tap_name(lab: str, seed: str, node: str) -> str:
    """The tap between a switch and a host's bridge: `vde` and 40 bits of a hash (IFNAMSIZ allows 15 characters)."""
    return "vde" + hashlib.blake2b("\0".join((lab, seed, node, "tap")).encode(), digest_size=5).hexdigest()


def mac_address(lab: str, seed: str, node: str, interface: str) -> str:
    """`02:` (locally administered, one station: IEEE 802-2014 §8.4) and 40 bits of a hash of the names."""
    names = "\0".join((lab, seed, node, interface)).encode()
    return "02:" + hashlib.blake2b(names, digest_size=5).digest().hex(":")
