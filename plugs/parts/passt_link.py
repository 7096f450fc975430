"""passt, "Plug A Simple Socket Transport", as a child process on a pair of sockets.

passt speaks QEMU's framing on the socket that it is given (`--fd`), and ends when that is closed: it cannot outlive us,
whatever we die of. Started by root it becomes `nobody`; it always gives up its privileges and seals itself in (user
namespace, seccomp). It writes its process number into a FIFO (`--pid`) when it is ready, and what is wrong with its
arguments to standard error before that.

One guest: passt answers whoever sent the last frame, so several guests behind one passt take one another's answers.
The second address that sends is reported once.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from plugs.parts.beside import running
from plugs.parts.framed import StreamLink
from plugs.parts.nat_plan import Plan
from vde.errors import ConfigError, LinkBroken, LinkClosed
from vde.link import Link
from vde.plugspec import Surroundings

PROGRAM = "passt"
PACKAGE = "passt"
FRAME_OCTETS = 65535  # passt: tap.c resets the connection after a longer one
DEFAULT_MTU_OCTETS = 1500  # chosen: passt's own, 65520, is too long for most switches
START_S = 20.0  # chosen
END_S = 2.0  # chosen
TOLD_OCTETS = 16 << 10  # of its standard error, that we keep
NO_ROUTE = b"No external routable interface for IPv"
SOURCE = slice(6, 12)


class PasstLink(StreamLink):
    """A stream to passt that looks at who sends."""

    def __init__(self, shown: Mapping[str, str | int | float | bool | None], surroundings: Surroundings) -> None:
        super().__init__("passt", FRAME_OCTETS, FRAME_OCTETS)
        self._facts = shown
        self._warn = surroundings.warn
        self._guest: bytes | None = None
        self._several = False

    async def send(self, frames: Sequence[bytes]) -> None:
        """As `Link.send`."""
        if not self._several:
            for frame in frames:
                if len(frame) >= 12 and frame[SOURCE] != self._guest:
                    self._see(frame[SOURCE])
        await super().send(frames)

    def _see(self, source: bytes) -> None:
        if self._guest is None:
            self._guest = source
        elif not self._several:
            self._several = True
            self._warn(
                f"nat://: {source.hex(':')} sends as well as {self._guest.hex(':')}, but passt serves one guest:"
                " say engine=libslirp for several"
            )

    def state(self) -> Mapping[str, str | int | float | bool | None]:
        """As `Link.state`."""
        return {**self._facts, "connected": self._stream is not None, "several_guests": self._several}


def refusals(plan: Plan) -> list[str]:
    """The options that passt cannot do, by name."""
    options = plan.options
    names = [
        name
        for name, given in (
            ("restrict", options.restrict),
            ("hostname", options.hostname),
            ("domain", options.domain),
            ("mru", options.mru),
            ("tftp-server-name", options.tftp_server_name),
            ("tftp-path", options.tftp_path),
            ("bootfile", options.bootfile),
            ("unixfwd", options.unixfwd),
            ("cmdfwd", options.cmdfwd),
            ("dns", plan.dns and options.dns),  # Debian 12's: its DHCP would go on telling another address
            ("dns6", options.dns6),
        )
        if given
    ]
    if plan.host6 is not None and plan.host6.network.prefixlen != 64:
        names.append("host6 with another prefix than 64")
    guests = {str(plan.dhcp4), str(guest6_of(plan))}
    names += [
        f"{'udpfwd' if one.udp else 'tcpfwd'} to {one.guest} (there is one guest, {plan.dhcp4})"
        for one in plan.forwards
        if str(one.guest) not in guests
    ]
    return names


def guest6_of(plan: Plan) -> str | None:
    """The guest's address by DHCPv6, with the same number as by DHCP."""
    if plan.host6 is None:
        return None
    number = 15 if plan.dhcp4 is None or plan.host4 is None else int(plan.dhcp4) - int(plan.host4.network[0])
    return str(plan.host6.network[number])


def arguments(plan: Plan, descriptor: int, fifo: str) -> list[str]:
    """Of passt, for a plan that `refusals` has nothing against."""
    found = [PROGRAM, "--foreground", "--fd", str(descriptor), "--pid", fifo, "--stderr"]
    if plan.host4 is not None:
        found += ["-a", str(plan.dhcp4), "-n", str(plan.host4.network.prefixlen), "-g", str(plan.host4.ip)]
    else:
        found += ["--ipv6-only"]
    if plan.host6 is not None:
        found += ["-a", str(guest6_of(plan)), "-g", str(plan.host6.ip)]
    else:
        found += ["--ipv4-only"]
    found += ["-m", str(plan.options.mtu or DEFAULT_MTU_OCTETS)]
    if not plan.dhcp:
        found += ["--no-dhcp", "--no-dhcpv6"]
    if not plan.dns:
        found += ["-D", "none"]
    if plan.search:
        found += ["-S", " ".join(plan.search)]
    if plan.options.disable_host_loopback:
        found += ["--no-map-gw"]
    for udp, flag in ((False, "-t"), (True, "-u")):
        forwards = [one for one in plan.forwards if one.udp == udp]
        for one in forwards:
            where = f"{one.host}/" if one.host is not None else ""
            found += [flag, f"{where}{one.port}:{one.guest_port}"]
        if not forwards:
            found += [flag, "none"]
    return found


def is_installed() -> bool:
    """Is the program there?"""
    return shutil.which(PROGRAM) is not None


@asynccontextmanager
async def open_passt_link(plan: Plan, surroundings: Surroundings) -> AsyncIterator[Link]:
    """A passt of our own.

    Raises:
        ConfigError: it is not installed, cannot do what is asked, or does not start, in its own words.
    """
    if not is_installed():
        raise ConfigError(f"nat://: {PROGRAM} is not there: install the Debian package {PACKAGE}")
    if names := refusals(plan):
        raise ConfigError(f"nat://: passt cannot do {', '.join(names)}; engine=libslirp can")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with tempfile.TemporaryDirectory(prefix="vde-passt") as home:
            process, told = await _start(plan, theirs, home)
        shown = {
            "engine": "passt",
            "host": str(plan.host4) if plan.host4 else None,
            "host6": str(plan.host6) if plan.host6 else None,
            "guest": str(plan.dhcp4) if plan.dhcp4 else None,
            "guest6": guest6_of(plan),
            "pid": process.pid,
        }
        link = PasstLink(shown, surroundings)
        stream = link.use(ours.dup())
        ours.close()

        async def run() -> None:
            await link.until_over(stream)
            if not isinstance(link.last_error, LinkClosed):
                link.finish(LinkBroken(f"passt ended: {_last_words(told) or link.last_error}"))

        async def listen() -> None:
            await _keep_told(process, told, notice)

        def notice() -> None:
            for family, wanted in ((b"4", plan.host4), (b"6", plan.host6)):
                if wanted is not None and family not in missing and NO_ROUTE + family in told:
                    missing.add(family)
                    surroundings.warn(
                        f"nat://: passt does no IPv{family.decode()}, as this host has no default route of it;"
                        " engine=libslirp does"
                    )

        missing: set[bytes] = set()
        notice()
        try:
            async with running(run, listen):
                try:
                    yield link
                finally:
                    link.finish(LinkClosed("the link is closed"))
        finally:
            with trio.CancelScope(shield=True):
                await _end(process)


async def _start(plan: Plan, theirs: socket.socket, home: str) -> tuple[trio.Process, bytearray]:
    fifo = f"{home}/pid"
    os.mkfifo(fifo, 0o600)
    if os.geteuid() == 0:  # it is `nobody` when it opens it
        os.chmod(home, 0o711)
        os.chmod(fifo, 0o622)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    told = bytearray()
    try:
        process = await trio.lowlevel.open_process(
            arguments(plan, theirs.fileno(), fifo),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        try:
            await _until_ready(process, reader, told)
        except BaseException:
            with trio.CancelScope(shield=True):
                await _end(process)
            raise
    finally:
        os.close(reader)
    return process, told


async def _until_ready(process: trio.Process, reader: int, told: bytearray) -> None:
    async def listen() -> None:
        await _keep_told(process, told)  # until it closes its standard error, that is: until it ends
        await process.wait()
        scope.cancel()

    with trio.CancelScope(deadline=trio.current_time() + START_S) as scope:
        async with running(listen):
            await trio.lowlevel.wait_readable(reader)
        return
    why = _last_words(told) or "it said nothing"
    raise ConfigError(f"nat://: passt did not start: {why}")


async def _keep_told(process: trio.Process, told: bytearray, notice: Callable[[], None] = lambda: None) -> None:
    assert process.stderr is not None
    try:
        while octets := await process.stderr.receive_some():
            told += octets
            del told[:-TOLD_OCTETS]
            notice()
    except trio.ClosedResourceError:
        pass


def _last_words(told: bytearray) -> str:
    lines = [line.strip() for line in told.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and "to syslog" not in line]
    return "; ".join(line for line in lines[-3:] if line.isprintable())


async def _end(process: trio.Process) -> None:
    with trio.move_on_after(END_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    if process.stderr is not None:
        await process.stderr.aclose()
