"""vdetelweb: Debian's telnet front-end, which lives on the switch's own network, at the management port."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.interop.namespaces import in_namespace
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
PASSWORD_SHA1 = "d033e22ae348aeb5660fc2140aec35850c4da997"  # of "admin"
LOGIN = """
import socket
with socket.create_connection(("192.0.2.5", 23), timeout=20) as telnet:
    shown = b""
    for wanted, answer in ((b"Login: ", b"admin"), (b"Password: ", b"admin"), (b"]: ", b"port/showinfo")):
        while not shown.endswith(wanted) and not shown.endswith(wanted + b"\\0"):
            shown += telnet.recv(4096)
        telnet.sendall(answer + b"\\r\\n")
    while b"Success" not in shown:
        shown += telnet.recv(4096)
    print(shown.decode(errors="replace"))
"""


def test_vdetelweb_serves_telnet_on_port_0_of_our_switch(
    start_switch: Callable[..., SwitchProcess], need_tool: NeedTool, two_namespaces: tuple[str, str]
) -> None:
    namespace = two_namespaces[0]
    tap = f"vw{os.getpid()}"
    switch = start_switch("-t", tap)
    subprocess.run(["ip", "link", "set", tap, "netns", namespace], check=True)
    in_namespace(namespace, "ip", "address", "add", "192.0.2.1/24", "dev", tap)
    in_namespace(namespace, "ip", "link", "set", tap, "up")
    settings = switch.home / "vdetelwebrc"
    settings.touch(mode=0o600)
    settings.write_text(f"ip=192.0.2.5/24\npassword={PASSWORD_SHA1}\n")
    server = subprocess.Popen([need_tool("vdetelweb"), "-f", settings, "-t", switch.management])
    try:
        in_namespace(namespace, need_tool("ping"), "-c", "1", "-W", "1", "-w", "15", "192.0.2.5")
        shown = in_namespace(namespace, sys.executable, "-c", LOGIN)
        assert "Numports=32" in shown
        assert any("LWIPv6" in line for line in switch.command("port/print 0"))
    finally:
        server.send_signal(signal.SIGKILL)  # it ignores the others
        server.wait()
