"""The inside of a view: from a fork of the launcher to the command, step by step.

Order matters: namespaces first, for everything else needs the rights that they give; the clocks before another thread
could be; the network before the files, because /sys shows it; capabilities and signals last, before `exec`.

What the command may do: as outside. Where the view needed a user namespace, a command that is not root there keeps what
it takes to use the network: CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_NET_BROADCAST, of the view's network.
"""

import contextlib
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from vde.errors import ConfigError
from vde.host.interfaces import Interfaces
from vde.host.kernel import Capability, CloneFlag, die_with_parent, keep_over_exec, setns, unshare
from vde.host.privilege import has, namespaces_refused
from vde.host.tap import open_tap
from vde.host.view import files
from vde.host.view.plan import View

GO = b"go"
NOT_FOUND, NOT_EXECUTABLE, REFUSED = 127, 126, 1  # as shells have it
NETWORK_CAPABILITIES = [
    Capability.NET_BIND_SERVICE,
    Capability.NET_BROADCAST,
    Capability.NET_ADMIN,
    Capability.NET_RAW,
]
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
HANDLED = (*PASSED_ON, signal.SIGINT, signal.SIGQUIT)
ERROR_OCTETS = 32 << 10  # of a message


def become(view: View, command: Sequence[str], scratch: Path | None, control: socket.socket) -> NoReturn:
    """Be the view's process. For a fork of one thread; never returns.

    Protocol, on `control`, a seqpacket socket: `{"names": […]}` with the taps' descriptors; then we wait for `GO`; the
    end of the connection is the command's beginning, and `{"error": text, "status": N}` its failure.
    """
    status = REFUSED
    try:
        privileged = not _needs_user_namespace(view)
        _enter(view, privileged=privileged)
        if view.host_name is not None:
            socket.sethostname(view.host_name)
        if view.time_offset_ns is not None:
            _shift_clocks(view.time_offset_ns)
        taps = _make_network(view)
        files.arrange(view, scratch, privileged=privileged)
        socket.send_fds(control, [json.dumps({"names": [name for _, name in taps]}).encode()], [fd for fd, _ in taps])
        for descriptor, _ in taps:
            os.close(descriptor)
        if control.recv(len(GO)) != GO:
            os._exit(status)
        if view.own_processes:
            _be_first(control)
        if not privileged and os.geteuid() != 0:
            keep_over_exec(NETWORK_CAPABILITIES + [Capability.SYS_ADMIN] * view.may_mount)
        _execute(command)
    except (ConfigError, OSError) as error:
        if isinstance(error, _CommandFailed):
            status = error.status
        _report(control, error, status)
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except BaseException as error:  # a bug: the launcher must not run twice
        _report(control, error, status)
    os._exit(status)


class _CommandFailed(OSError):
    """The command could not be executed.

    Attributes:
        status: what shells make of it.
    """

    status = NOT_EXECUTABLE


def _report(control: socket.socket, error: BaseException, status: int) -> None:
    text = str(error)
    if isinstance(error, OSError):
        text = namespaces_refused(error) if not isinstance(error, _CommandFailed) else str(error.args[1])
    elif not isinstance(error, ConfigError):
        text = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        control.send(json.dumps({"error": text[:ERROR_OCTETS], "status": status}).encode())


def _needs_user_namespace(view: View) -> bool:
    wanted = [Capability.SYS_ADMIN, Capability.NET_ADMIN]
    if view.time_offset_ns is not None:
        wanted.append(Capability.SYS_TIME)
    return not has(*wanted)


def _enter(view: View, *, privileged: bool) -> None:
    flags = CloneFlag.NEWNS
    if view.own_network or view.nets:
        flags |= CloneFlag.NEWNET
    if view.host_name is not None:
        flags |= CloneFlag.NEWUTS
    if view.time_offset_ns is not None:
        flags |= CloneFlag.NEWTIME
    if view.own_processes:
        flags |= CloneFlag.NEWPID
    if privileged:
        unshare(flags)
        return
    user, group = os.geteuid(), os.getegid()
    unshare(flags | CloneFlag.NEWUSER)
    # user_namespaces(7): one line, our own numbers; group numbers only after supplementary groups cannot be dropped.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{0 if view.as_root else user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{0 if view.as_root else group} {group} 1")


def _shift_clocks(offset_ns: int) -> None:
    """time_namespaces(7): offsets are written before anybody is in the namespace; then we are."""
    seconds, rest = divmod(offset_ns, 10**9)
    lines = "".join(f"{clock} {seconds} {rest}\n" for clock in ("monotonic", "boottime"))
    try:
        Path("/proc/self/timens_offsets").write_text(lines)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        raise ConfigError(
            f"time offset {offset_ns / 1e9:+g} s: the clock since the machine's start would be negative, or too late"
        ) from None
    descriptor = os.open("/proc/self/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC)
    setns(descriptor, CloneFlag.NEWTIME)
    os.close(descriptor)


def _make_network(view: View) -> list[tuple[int, str]]:
    if not (view.own_network or view.nets):
        return []
    taps = []
    with Interfaces() as interfaces:
        interfaces.set_up("lo")
        for net in view.nets:
            descriptor, name = open_tap(net.name, new=True)
            taps.append((descriptor, name))
            if net.mac is not None:
                interfaces.set_mac(name, net.mac)
            if net.mtu_octets is not None:
                interfaces.set_mtu(name, net.mtu_octets)
            interfaces.set_up(name)
            for address in net.addresses:
                interfaces.add_address(name, address)
        for gateway in view.gateways:
            interfaces.add_default_route(gateway)
        interfaces.keep()
    return taps


def _be_first(control: socket.socket) -> None:
    """Two forks: the first process of the new namespace, which reaps and passes signals on, and the command's.

    Returns in the latter only.
    """
    # A signal that comes between a fork and its handler would be lost: nobody else sends it to the first process again.
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    first = os.fork()
    if first:
        control.close()
        die_with_parent(signal.SIGKILL)
        _attend(first)
    die_with_parent(signal.SIGKILL)
    files.show_processes()
    command = os.fork()
    if command:
        control.close()
        _attend(command)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _attend(child: int) -> NoReturn:
    """Wait for a child, reap others, and end as it did."""
    for number in PASSED_ON:
        signal.signal(number, lambda got, frame: _pass_on(child, got))
    for number in (signal.SIGINT, signal.SIGQUIT):  # the terminal sends them to all of us
        signal.signal(number, lambda got, frame: _pass_on(child, got) if not _has_terminal() else None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    while True:
        ended, result = os.wait()
        if ended == child:
            status = os.waitstatus_to_exitcode(result)
            os._exit(status if status >= 0 else 128 - status)


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _has_terminal() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _execute(command: Sequence[str]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and so would the command
        signal.signal(number, signal.SIG_DFL)
    die_with_parent(signal.SIGKILL)
    sys.stdout.flush()
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        failed = _CommandFailed(error.errno, f"{command[0]}: {error.strerror}")
        failed.status = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        raise failed from None
