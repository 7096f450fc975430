"""`vdeswitch`, also installed as `vde_switch`: the switch, and all plugs as its ports."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

import switch.main
from vde.endpoint import HandedOver
from vde.errors import ConfigError
from vde.link import Link, LinkStatistics

if TYPE_CHECKING:
    from plugs.join import Attachment

DESCRIPTION = "vdeswitch"


class OpenPort:
    """A `switch.plugged.PortLink`."""

    def __init__(self, link: Link, attachment: "Attachment") -> None:
        self._link = link
        self._attachment = attachment

    @property
    def handed(self) -> HandedOver:
        """As `PortLink.handed`."""
        return self._attachment.handed

    @property
    def direct(self) -> bool:
        """As `PortLink.direct`."""
        return self._attachment.direct

    async def run(self) -> NoReturn:
        """As `PortLink.run`."""
        await self._attachment.run()

    def discard(self) -> None:
        """As `PortLink.discard`."""
        self._attachment.discard()

    def statistics(self) -> LinkStatistics:
        """As `PortLink.statistics`."""
        return self._link.statistics()

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `PortLink.state`."""
        return self._link.state()


class PlugOpener:
    """A `switch.plugged.Opener`. Plugs are imported when the first one is named."""

    def check(self, vnl: str, *, trusted: bool) -> None:
        """As `Opener.check`."""
        from plugs import registry
        from vde.vnl import STDIO

        if not trusted:
            self._refuse(vnl)
        if vnl == STDIO:
            raise ConfigError("-: standard input is the console's")
        registry.check(vnl)

    @asynccontextmanager
    async def open(self, vnl: str, *, trusted: bool, warn: Callable[[str], None]) -> AsyncIterator[OpenPort]:
        """As `Opener.open`."""
        from plugs.join import Attachment
        from plugs.surroundings import Here
        from vde.cli.programs.restricted import RestrictedHere

        here = (Here if trusted else RestrictedHere)(DESCRIPTION, warn)
        async with here.open_link(vnl) as link:
            attachment = Attachment(link)
            try:
                yield OpenPort(link, attachment)
            finally:
                attachment.close()

    def _refuse(self, vnl: str) -> None:
        from vde.cli.programs.restricted import refuse_commands

        refuse_commands(vnl)


def main() -> int:
    """The program."""
    return switch.main.main(PlugOpener())


if __name__ == "__main__":
    sys.exit(main())
