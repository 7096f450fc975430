"""`ds/…`: the control directory."""

from switch.console.call import Call
from switch.console.registry import Command, Menu


def show_info(call: Call) -> None:
    """vdetelweb wants `ctl dir ` at the beginning of the answer's second line."""
    call.print(f"ctl dir {call.console.directory}")
    call.print(f"std mode 0{call.console.mode:03o}")


ENTRIES = (
    Menu("ds", "DATA SOCKET MENU"),
    Command("ds/showinfo", "", "show ds info", show_info, framed=True),
)
