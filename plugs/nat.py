"""nat://[/OPTIONS] — user-mode NAT: guests reach what this process reaches, without a privilege. IPv4 and IPv6.

    nat://                                        10.0.2.0/24 and fd00::/64, DHCP from 10.0.2.15, DNS at 10.0.2.3
    nat:///tcpfwd=8080::80                        port 8080 of the host leads to port 80 of the first guest
    nat:///host=10.9.0.1'/'24/dns=10.9.0.53       another network
    nat:///engine=libslirp/restrict               a network without a way out

The host is in the network at `host` and `host6`: the gateway, and the way to servers on the host's own loopback.
Addresses are lent by DHCP, prefixes advertised (SLAAC); `dns` is a proxy to the host's resolvers. A `/` within a value
is quoted: `host='10.0.2.2/24'`.

The engine is not ours: **passt**, if it is installed and can do what is asked; else **libslirp**. Which one it is, is
shown by the link's state. They differ:

| | passt | libslirp |
|---|---|---|
| guests | 32, each served by a process | many |
| restrict, hostname, domain, mru, tftp-…, bootfile, unixfwd, cmdfwd, dns=ADDRESS, dns6 | refused by name | yes |
| tcpfwd, udpfwd | to the first guest that asks | to any guest |
| prefix of host6 | 64 | any |
| name server, told by DHCP | the host's own, or the gateway where that is on loopback | dns |
| the host needs | a default route (of IPv6 for IPv6) | nothing |
| is | a process a guest, `nobody` if we are root | in this process |

Peers: Debian's vde_plug with `slirp://` gives guests the same network (`slirp://` here takes its options).
Not supported: ICMP beyond echo, other protocols than TCP and UDP, multicast beyond the network.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from plugs.parts.libslirp import PACKAGE as LIBSLIRP_PACKAGE
from plugs.parts.libslirp import load
from plugs.parts.nat_plan import NatOptions, Plan, plan
from plugs.parts.passt_link import open_passt_link
from plugs.parts.passt_process import PACKAGE as PASST_PACKAGE
from plugs.parts.passt_process import is_installed, refusals
from plugs.parts.slirp_link import open_slirp_link
from vde.errors import ConfigError
from vde.link import Link
from vde.plugspec import PlugSpec, Surroundings, option


@dataclass(frozen=True)
class Params(NatOptions):
    """Options."""

    engine: str = option("auto", "who does it", choices=("auto", "passt", "libslirp"))


def _has_libslirp() -> bool:
    try:
        load()
    except ConfigError:
        return False
    return True


@asynccontextmanager
async def open_nat(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """As the help page says."""
    if address:
        raise ConfigError(f"nat://{address}: nothing was expected before the first '/'; the address is host=")
    asked = plan(params)
    async with AsyncExitStack() as stack:
        yield await _enter(stack, params.engine, asked, surroundings)


async def _enter(stack: AsyncExitStack, engine: str, asked: Plan, surroundings: Surroundings) -> Link:
    if engine == "passt":
        return await stack.enter_async_context(open_passt_link(asked, surroundings))
    if engine == "libslirp":
        return await stack.enter_async_context(open_slirp_link(asked, surroundings))
    there = _has_libslirp()
    if is_installed() and not refusals(asked):
        try:
            return await stack.enter_async_context(open_passt_link(asked, surroundings))
        except ConfigError as error:
            if not there:
                raise
            surroundings.warn(f"{error}; libslirp is used instead")
    if there:
        return await stack.enter_async_context(open_slirp_link(asked, surroundings))
    if is_installed():
        raise ConfigError(
            f"nat://: passt cannot do {', '.join(refusals(asked))}; libslirp can: install {LIBSLIRP_PACKAGE}"
        )
    raise ConfigError(f"nat:// needs an engine: install the Debian package {PASST_PACKAGE} or {LIBSLIRP_PACKAGE}")


PLUG = PlugSpec("nat", open_nat, Params, syntax="nat://", style="slash")
