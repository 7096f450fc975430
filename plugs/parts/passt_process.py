"""passt, "Plug A Simple Socket Transport", as a child process on a pair of sockets; it serves one guest.

passt speaks QEMU's framing on the socket that it is given (`--fd`), and ends when that is closed: it cannot outlive us,
whatever we die of. Started by root it becomes `nobody`; it always gives up its privileges and seals itself in (user
namespace, seccomp). It writes its process number into a FIFO (`--pid`) when it is ready, and what is wrong with its
arguments to standard error before that.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import trio

from plugs.parts.beside import running
from plugs.parts.nat_plan import Plan
from plugs.parts.router_door import ethernet_address
from vde.errors import ConfigError
from vde.frame import format_mac

PROGRAM = "passt"
PACKAGE = "passt"
DEFAULT_MTU_OCTETS = 1500  # chosen: passt's own, 65520, is too long for most switches
START_S = 20.0  # chosen
END_S = 2.0  # chosen
TOLD_OCTETS = 16 << 10  # of its standard error, that we keep


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
        f"{'udpfwd' if one.udp else 'tcpfwd'} to {one.guest} (they go to the first guest, {plan.dhcp4})"
        for one in plan.forwards
        if str(one.guest) not in guests
    ]
    return names


def guest6_of(plan: Plan) -> IPv6Address | None:
    """The first guest's address by DHCPv6, with the same number as by DHCP."""
    if plan.host6 is None:
        return None
    number = 15 if plan.dhcp4 is None or plan.host4 is None else int(plan.dhcp4) - int(plan.host4.network[0])
    return plan.host6.network[number]


def addresses(plan: Plan, number: int) -> tuple[IPv4Address | None, IPv6Address | None] | None:
    """What the `number`-th guest (0, 1, …) is lent; None: the network has no such address."""
    first6 = guest6_of(plan)
    guest6 = first6 + number if first6 is not None else None
    if plan.host4 is None or plan.dhcp4 is None:
        return None, guest6
    taken = {plan.host4.ip, plan.dns4, plan.host4.network.broadcast_address}
    after = int(plan.host4.network.broadcast_address) - int(plan.dhcp4)
    free = [one for offset in range(min(after, number + 1 + len(taken))) if (one := plan.dhcp4 + offset) not in taken]
    return (free[number], guest6) if number < len(free) else None


def arguments(plan: Plan, number: int, descriptor: int, fifo: str) -> list[str]:
    """Of passt, for a plan that `refusals` has nothing against and a guest that `addresses` has one for."""
    lent = addresses(plan, number)
    assert lent is not None
    guest4, guest6 = lent
    ethernet = format_mac(ethernet_address(plan.host4.ip if plan.host4 else None))
    found = [PROGRAM, "--foreground", "--fd", str(descriptor), "--pid", fifo, "--stderr", "-M", ethernet]
    if plan.host4 is not None:
        found += ["-a", str(guest4), "-n", str(plan.host4.network.prefixlen), "-g", str(plan.host4.ip)]
    else:
        found += ["--ipv6-only"]
    if plan.host6 is not None:
        found += ["-a", str(guest6), "-g", str(plan.host6.ip)]
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
        forwards = [one for one in plan.forwards if one.udp == udp and number == 0]
        for one in forwards:
            where = f"{one.host}/" if one.host is not None else ""
            found += [flag, f"{where}{one.port}:{one.guest_port}"]
        if not forwards:
            found += [flag, "none"]
    return found


def is_installed() -> bool:
    """Is the program there?"""
    return shutil.which(PROGRAM) is not None


class Passt:
    """One that runs; `line` is our end of its socket, which whoever has this closes."""

    def __init__(self, process: trio.Process, line: socket.socket, told: bytearray) -> None:
        self.line = line
        self._process = process
        self._told = told

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    async def listen(self, notice: Callable[[], None]) -> None:
        """Keep the last of what it says, until it ends; `notice` is called when it has said something."""
        await _keep_told(self._process, self._told, notice)

    def lacks_route(self, family: int) -> bool:
        """Has it said that the host has no default route of IPv4 (4) or IPv6 (6)?"""
        return b"No external routable interface for IPv%d" % family in self._told

    def last_words(self) -> str:
        """The end of what it said, on one line; "" if nothing that can be shown."""
        lines = [line.strip() for line in self._told.decode(errors="replace").splitlines()]
        lines = [line for line in lines if line and "to syslog" not in line]
        return "; ".join(line for line in lines[-3:] if line.isprintable())

    async def end(self) -> None:
        """Wait for its end, which comes when its line is closed; help after a while."""
        with trio.move_on_after(END_S):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._process.stderr is not None:
            await self._process.stderr.aclose()


async def start(plan: Plan, number: int) -> Passt:
    """A passt for the `number`-th guest.

    Raises:
        ConfigError: it does not start, in its own words.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs, tempfile.TemporaryDirectory(prefix="vde-passt") as home:
            return await _start(plan, number, ours, theirs, home)
    except BaseException:
        ours.close()
        raise


async def _start(plan: Plan, number: int, ours: socket.socket, theirs: socket.socket, home: str) -> Passt:
    fifo = f"{home}/pid"
    os.mkfifo(fifo, 0o600)
    if os.geteuid() == 0:  # it is `nobody` when it opens it
        os.chmod(home, 0o711)
        os.chmod(fifo, 0o622)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        process = await trio.lowlevel.open_process(
            arguments(plan, number, theirs.fileno(), fifo),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        passt = Passt(process, ours, bytearray())
        try:
            await _until_ready(passt, process, reader)
        except BaseException:
            ours.close()
            with trio.CancelScope(shield=True):
                await passt.end()
            raise
    finally:
        os.close(reader)
    return passt


async def _until_ready(passt: Passt, process: trio.Process, reader: int) -> None:
    async def listen() -> None:
        await passt.listen(lambda: None)  # until it closes its standard error, that is: until it ends
        await process.wait()
        scope.cancel()

    with trio.CancelScope(deadline=trio.current_time() + START_S) as scope:
        async with running(listen):
            await trio.lowlevel.wait_readable(reader)
        return
    raise ConfigError(f"nat://: passt did not start: {passt.last_words() or 'it said nothing'}")


async def _keep_told(process: trio.Process, told: bytearray, notice: Callable[[], None]) -> None:
    assert process.stderr is not None
    try:
        while octets := await process.stderr.receive_some():
            told += octets
            del told[:-TOLD_OCTETS]
            notice()
    except trio.ClosedResourceError:
        pass
