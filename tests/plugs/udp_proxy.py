"""A UDP proxy that loses, changes, repeats and remembers: one socket to the server for each client."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

Treatment = Callable[[int, bytes], list[bytes]]
"""(number of the datagram, datagram) → what is sent on."""


def as_it_is(_number: int, datagram: bytes) -> list[bytes]:
    return [datagram]


class UdpProxy:
    def __init__(self, nursery: trio.Nursery, server: tuple[str, int]) -> None:
        self._nursery = nursery
        self._server = server
        self._clients: dict[Any, trio.socket.SocketType] = {}
        self.port = 0
        self.treatment: Treatment = as_it_is
        self.to_server: list[tuple[Any, bytes]] = []
        self.to_client: list[tuple[Any, bytes]] = []
        self._number = 0

    async def serve(self, task_status: trio.TaskStatus[None]) -> None:
        with trio.socket.socket(type=socket.SOCK_DGRAM) as self._socket:
            await self._socket.bind(("127.0.0.1", 0))
            self.port = self._socket.getsockname()[1]
            task_status.started()
            while True:
                datagram, client = await self._socket.recvfrom(70_000)
                if client not in self._clients:
                    self._clients[client] = upstream = trio.socket.socket(type=socket.SOCK_DGRAM)
                    await upstream.connect(self._server)
                    self._nursery.start_soon(self._back, client, upstream)
                self.to_server.append((client, datagram))
                for one in self._treated(datagram):
                    await self.push_to_server(client, one)

    async def push_to_server(self, client: Any, datagram: bytes) -> None:
        await self._clients[client].send(datagram)

    async def push_to_client(self, client: Any, datagram: bytes) -> None:
        await self._socket.sendto(datagram, client)

    def forget_clients(self) -> None:
        """As a NAT that restarts: what clients send comes from other ports from now on."""
        for upstream in self._clients.values():
            upstream.close()
        self._clients.clear()

    def _treated(self, datagram: bytes) -> list[bytes]:
        self._number += 1
        return self.treatment(self._number, datagram)

    async def _back(self, client: Any, upstream: trio.socket.SocketType) -> None:
        with upstream:
            while True:
                try:
                    datagram = await upstream.recv(70_000)
                except ConnectionError:
                    continue
                except (trio.ClosedResourceError, OSError):
                    return
                self.to_client.append((client, datagram))
                for one in self._treated(datagram):
                    await self.push_to_client(client, one)


@asynccontextmanager
async def open_proxy(port: int) -> AsyncIterator[UdpProxy]:
    """In front of a server on this port."""
    async with trio.open_nursery() as nursery:
        proxy = UdpProxy(nursery, ("127.0.0.1", port))
        await nursery.start(proxy.serve)
        yield proxy
        nursery.cancel_scope.cancel()
