"""A switch's rings in place of its sockets, where the switch offers them: `vde:///run/sw.ctl[3]` opened as
`shm:///run/sw.ctl[port=3]` would be.

For programs that carry many frames and need no more of a link than frames. What rings cannot give stays with the
sockets: a management port, a named port, `mode` and `group`, times of arrival, and switches that have no rings, or do
not let us in by them.
"""

import os
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from plugs import registry, shm, vde
from vde import vnl as grammar
from vde.errors import ConfigError, LinkBroken
from vde.link import Link
from vde.plugspec import Surroundings
from vde.ring_handshake import SOCKET_NAME


def find(text: str) -> tuple[str, shm.Params] | None:
    """The directory and port of a switch that has rings now; None: open the VNL as it is.

    Raises:
        ConfigError: of the VNL.
    """
    vnl = grammar.parse(text)
    spec = registry.find(vnl.scheme)
    if spec is not vde.PLUG:
        return None
    address, params = spec.read(vnl)
    if not isinstance(params, vde.Params) or (params.group, params.mode) != (None, vde.Params().mode):
        return None
    port = params.port or "0"
    if params.port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port) <= shm.PORT_MAX):
        return None
    directory, inner = vde.find_switch(address)
    if inner is not None or (params.port is not None and os.path.exists(os.path.join(directory, port))):
        return None
    with suppress(OSError, ValueError):
        if stat.S_ISSOCK(os.stat(os.path.join(directory, SOCKET_NAME)).st_mode):
            return directory, shm.Params(port=int(port))
    return None


@asynccontextmanager
async def open_link(text: str, surroundings: Surroundings) -> AsyncIterator[Link]:
    """As `registry.open_link`, through rings if they are to be had."""
    async with AsyncExitStack() as stack:
        link: Link | None = None
        if (found := find(text)) is not None:
            with suppress(ConfigError, LinkBroken):  # what is wrong is told by the sockets
                link = await stack.enter_async_context(shm.open_shm(*found, surroundings))
        if link is None:
            link = await stack.enter_async_context(registry.open_link(text, surroundings))
        yield link
