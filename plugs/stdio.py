"""- — standard input and output, as a stream of frames.

    dpipe vde_plug vde:///run/a.ctl = ssh there vde_plug - vde:///run/b.ctl
    vde plug - vde:///run/a.ctl

Wire: two octets of length, big-endian, then the frame; both ways. It is the stream of vde_plug, dpipe, wirefilter,
`cmd://` and sshlirp, and shown with Debian's vde_plug and dpipe. A greeting before the first frame, or any other
octets that are no frames, are passed over and counted (`framing`); see `vde.framing` for how.

The end of standard input ends the link in good order. Standard error is free for messages.

Limits: frames of up to 9234 octets; longer ones are dropped and counted (`oversize`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from vde.errors import ConfigError
from vde.link import Link
from vde.pipe_link import PipeLink
from vde.plugspec import PlugSpec, Surroundings

STDIN, STDOUT = 0, 1


@dataclass(frozen=True)
class Params:
    """No options."""


@asynccontextmanager
async def open_stdio(address: str, params: Params, surroundings: Surroundings) -> AsyncIterator[Link]:
    """`address` is always empty: see `vde.vnl.parse`."""
    try:
        link = PipeLink(STDIN, STDOUT, "standard input and output")
    except OSError as error:
        raise ConfigError(f"-: standard input or output is not open: {error.strerror}") from error
    try:
        yield link
    finally:
        link.close()


PLUG = PlugSpec("-", open_stdio, Params, syntax="-")
