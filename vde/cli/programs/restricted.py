"""Surroundings whose plugs run no commands of the user's choice: for consoles and login shells.

What is refused is `cmd://`, wherever it stands: by itself, in braces, or in a file that a VNL names.
"""

from contextlib import AbstractAsyncContextManager

from plugs.surroundings import Here
from vde import vnl as grammar
from vde.errors import ConfigError
from vde.link import Link

PROGRAMS = frozenset({"cmd"})


class RestrictedHere(Here):
    """See the module's text."""

    def open_link(self, vnl: str) -> AbstractAsyncContextManager[Link]:
        """As `Surroundings.open_link`."""
        refuse_commands(vnl)
        return super().open_link(vnl)


def refuse_commands(vnl: str) -> None:
    """Nested VNLs come this way when they are opened.

    Raises:
        ConfigError: the VNL itself starts a program.
    """
    if grammar.parse(vnl).scheme in PROGRAMS:
        raise ConfigError(f"{vnl}: no commands can be run from here")
