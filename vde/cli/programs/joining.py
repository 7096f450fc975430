"""Two links joined: by the switch's forwarder where both can be handed over, else by a pump in Python."""

import errno
from collections.abc import Awaitable, Callable
from typing import NoReturn

from plugs.join import Attachment, first_end, pump
from switch.forwarding.patch import EndBroken, patch_through
from vde.endpoint import HandedOver
from vde.errors import LinkEnded
from vde.link import Link


async def join(left: Link, right: Link) -> NoReturn:
    """Carry frames both ways until a link ends.

    Raises:
        LinkBroken, LinkClosed: of the link that ended first; `LinkEnded`: in good order.
    """
    one = left.hand_over()
    if one is None:
        await pump(left, right)
    other = right.hand_over()
    if other is None and left.take_back():
        one.close()
        await pump(left, right)
    if other is not None:
        await _patch(one, other, left.watch, right.watch)
    attachment = Attachment(right)  # the left one can only be handed over
    try:
        await _patch(one, attachment.handed, left.watch, attachment.run)
    finally:
        attachment.close()


async def _patch(one: HandedOver, other: HandedOver, *watches: Callable[[], Awaitable[None]]) -> NoReturn:
    async def carry() -> None:
        try:
            await patch_through(one, other)
        except EndBroken as end:
            if end.errno == errno.ECONNRESET:  # a seqpacket socket's end
                raise LinkEnded(str(end)) from None
            raise

    await first_end(carry, *watches)
