"""Nodes within a process: `switch://`, `hub://`, `multi://`, `bonding://`, of which whoever opens one is itself a part.

They are plugs that live in the switch's room, because they are made of its parts; found by the entry points of the
group `vde.plugs` (pyproject.toml). Source: libvdeplug's "netnode" plugs.
"""
