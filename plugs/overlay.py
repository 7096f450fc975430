"""The core of vxlan:// and vxvde://, which forwarders share: see `vde.overlay`."""

from vde.overlay import VNI_MAX, VXLAN_OCTETS, EndpointTable, Header, Overlay, key, parse

__all__ = ["VNI_MAX", "VXLAN_OCTETS", "EndpointTable", "Header", "Overlay", "key", "parse"]
