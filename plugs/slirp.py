"""slirp://[/OPTIONS] — libslirp's user-mode NAT, by the options of vdeplug4's `slirp://`.

    slirp://                                      10.0.2.2/24 and fd00::2/64
    slirp:///v4/tcpfwd=8080:10.0.2.15:80          IPv4 only; port 8080 of the host leads to a guest
    slirp:///addr=10.9.0.2'/'24/vnameserver=10.9.0.3/cmdfwd=10.9.0.5:6000:'socat STDIO UNIX:%2ftmp%2fx'

What it does is told by `nat://`, whose engine is libslirp here, always. `host`, `addr`, `host6`, `addr6`, `hostname`,
`dhcp`, `vnameserver`, `vnameserver6`, `vdnssearch`, `vdomainname`, `mtu`, `mru`, `tftp_server_name`, `tftp_path`,
`bootfile`, `restricted`, `disable_host_loopback`, `tcpfwd`, `udpfwd`, `unixfwd`, `cmdfwd`, `v4`, `v6` and `verbose` are
the original's; the names of `nat://` are known as well. Forwarding of IPv6 ports (`tcpfwd=[::1]:8080:[fd00::15]:80`),
`dhcp=off` and `dns=off` are not in the original.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from plugs.parts.nat_plan import NatOptions, plan
from plugs.parts.slirp_link import open_slirp_link
from vde.errors import ConfigError
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option


@dataclass(frozen=True)
class Params(NatOptions):
    """Options."""

    verbose: bool = option(False, "tell the addresses")


@asynccontextmanager
async def open_slirp(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """As the help page says."""
    if address:
        raise ConfigError(f"slirp://{address}: nothing was expected before the first '/'; the address is host=")
    async with open_slirp_link(plan(params), surroundings) as link:
        if params.verbose:
            surroundings.warn(
                "slirp://: " + ", ".join(f"{name} {value}" for name, value in link.state().items() if value)
            )
        yield link


PLUG = PlugSpec("slirp", open_slirp, Params, syntax="slirp://", style="slash")
