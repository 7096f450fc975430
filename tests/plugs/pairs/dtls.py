"""dtls:// with one key: a connector, and its listener as the outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from plugs.dtls import Params, open_dtls
from plugs.parts.dtls_link import DtlsLink
from tests.plugs.pair import Ends, PairSpec
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.udp_ports import free_udp_port


def key_file(home: Path, octet: int = 7) -> str:
    path = home / f"key{octet}"
    path.touch(0o600)
    path.write_text(bytes([octet] * 32).hex() + "\n")
    return str(path)


@asynccontextmanager
async def open_pair(home: Path) -> AsyncIterator[Ends]:
    port, key = free_udp_port(), key_file(home)
    async with (
        open_dtls(f"127.0.0.1:{port}", Params(listen=True, key=key), TestSurroundings()) as outside,
        open_dtls(f"127.0.0.1:{port}", Params(key=key), TestSurroundings()) as link,
    ):
        for one in (outside, link):
            assert isinstance(one, DtlsLink)
            await one.wait_connected()
        yield Ends(link, outside)


PAIR = PairSpec(open_pair)
