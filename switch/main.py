"""`vdeswitch`, also installed as `vde_switch`: argv in, exit status out."""

import contextlib
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import trio

from switch import options as command_line
from switch.daemon import Daemon, End
from switch.daemonise import Background, detach
from switch.descriptors import raise_limit
from switch.directory import open_directory, open_management
from switch.ending import note_signals
from switch.log import Log, StandardError, Syslog
from switch.notify import notify_ready
from switch.options import Options
from switch.pidfile import Pidfile, PidfileError
from switch.plugged import Opener
from vde.errors import ConfigError

USAGE_STATUS = 1  # vde_switch's
PIDFILE_STATUS = 1  # vde_switch's
FAILED_STATUS = 255  # vde_switch's: a directory or socket cannot be had


def main(opener: Opener | None = None) -> int:
    """The program. `opener` opens the VNLs of `--plug`; without one there are none."""
    program = Path(sys.argv[0]).name or "vdeswitch"
    log = Log(StandardError(program))
    try:
        options, complaints = command_line.parse(
            sys.argv[1:], environ=os.environ, euid=os.geteuid(), random_octets=os.urandom
        )
    except command_line.Help:
        print(command_line.usage(program), end="")
        return USAGE_STATUS
    except command_line.Version:
        print(f"VDE 2.3.2\nvdeswitch of vde-fabric {version('vde-fabric')}")
        return 0
    except ConfigError as error:
        print(f"{program}: {error}\nTry '{program} --help'.", file=sys.stderr)
        return USAGE_STATUS
    for complaint in complaints:
        print(f"{program}: {complaint}", file=sys.stderr)
    background = detach() if options.daemon else None
    try:
        end = _serve(options, program, log, background, opener)
    except ConfigError as error:
        log.error(str(error))
        return PIDFILE_STATUS if isinstance(error, PidfileError) else FAILED_STATUS
    if end is signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 0


def _serve(options: Options, program: str, log: Log, background: Background | None, opener: Opener | None) -> End:
    """Everything that is made here is removed here, in reverse, however the switch ends."""
    raise_limit()
    with contextlib.ExitStack() as stack:
        noted = stack.enter_context(note_signals())
        directory = open_directory(options.directory, options.mode, options.dirmode, options.group)

        def close_directory() -> None:
            warning = directory.close()
            if warning:
                log.warning(warning)

        stack.callback(close_directory)
        management = None
        if options.mgmt is not None:
            management = open_management(options.mgmt, options.mgmt_mode, options.mgmt_group)
            stack.callback(options.mgmt.unlink, missing_ok=True)
            stack.callback(management.close)
        if options.pidfile is not None:
            stack.callback(Pidfile(options.pidfile).remove)
        daemon = Daemon(options, directory, management, log, int.from_bytes(os.urandom(8)), opener)

        def ready() -> None:
            notify_ready()
            if background is not None:
                log.sink = Syslog(program)
                background.ready()

        return trio.run(daemon.run, ready, noted)


if __name__ == "__main__":
    sys.exit(main())
