"""Keys and kinds that other lab tools have, or that are planned: refused by name, never silently ignored.

A key that becomes supported is removed here and added to `vde.lab.schema`.
"""

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LATER: Mapping[str, frozenset[str]] = {
    "file": _words("""
        addressing clock debug events hosts include message mgmt plugins prefix profiles provider schedule
        settings snapshot tools validate variables vlans vrfs wires
    """),
    "node": _words("""
        agent aliases auto-remove binds cap-add certificate cmd console console-script cpu-set cpus
        credentials device devices disk entrypoint env env-files environment exec external files gdb
        healthcheck host link-apply-mode mgmt-ipv4 mgmt-ipv6 nat network-mode place
        privileged restart restart-policy role runtime schedule shm-size stages startup-config
        startup-delay stop-signal sysctls time tmpfs type user vlan vlans volumes
    """),
    "link": _words("""
        bandwidth bridge burst corrupt delay down duplicate endpoint host-interface ipv4 ipv6 jitter labels limit loss
        mtu pcap prefix rate reorder role tc trunk up vars vlan vlans wire
    """),
    "end": _words("down ipv4 ipv6 schedule tc up vars vlan vlans"),
    "check": _words("after every exec frame http level never on tcp wait"),
    "kind": _words("""
        bochs dhcp dns exec external generator host linux macvlan mips ppc router sink tunnel
        vxlan
    """),
}
REMOVE = "remove it to run the lab without it"
INSTEAD: Mapping[tuple[str, str], str] = {
    ("file", "schedule"): "give the link a schedule of its own: 'schedule: [10s set loss=100%]'",
}
"""Hints where something else does the same. (A lab schedule would need a clock of the lab; wires have their own.)"""
