"""Commands without a menu: help, the end of the session or of the switch, scripts."""

import os

from switch.console.call import Call, Kind
from switch.console.registry import Command
from switch.console.script import read_script
from vde.frame import format_mac


def show_help(call: Call) -> None:
    """`help [arg]`: rows whose path begins with the argument."""
    for line in call.console.help(call.argument):
        call.print(line)


def log_out(call: Call) -> None:
    """Ends a connection; standard input and scripts have nothing to log out of."""
    if call.session.kind is Kind.SOCKET and not call.session.in_script:
        call.session.say_goodbye()


def shut_down(call: Call) -> None:
    """Ends the switch."""
    call.console.log.info("Shutdown from mgmt command")
    call.session.say_goodbye()
    call.session.shutdown_requested = True


def show_info(call: Call) -> None:
    """Who this is: the banner, the process, the management socket."""
    console, settings = call.console, call.switch.settings
    for line in console.banner:
        call.print(line)
    call.print("")
    call.print(f"pid {os.getpid()} MAC {format_mac(settings.mac)} uptime {call.switch.uptime_s(call.now_ns)}")
    if console.management is not None:
        call.print(f"mgmt {console.management} perm 0{console.management_mode:03o}")


def load(call: Call) -> None:
    """Each line of the file is echoed and followed by its own answer."""
    call.session.run_script(call.argument, read_script(os.fsencode(call.argument)))


ENTRIES = (
    Command("help", "[arg]", "Help (limited to arg when specified)", show_help, framed=True),
    Command("logout", "", "logout from this mgmt terminal", log_out, silent=True),
    Command("shutdown", "", "shutdown of the switch", shut_down, silent=True),
    Command("showinfo", "", "show switch version and info", show_info, framed=True),
    Command("load", "path", "load a configuration script", load, silent=True),
)
