"""vdetelweb on our switch: it reads the help table by columns, joins port 0, and serves telnet and web pages there."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.namespaces import in_namespace
from tests.switch_process import PATIENCE_S, Console, SwitchProcess
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
StartSwitch = Callable[..., SwitchProcess]
PASSWORD = "secret"

BROWSE = """
import base64, sys, urllib.request
request = urllib.request.Request(sys.argv[1], data=sys.argv[2].encode() if sys.argv[2:] else None)
request.add_header("Authorization", "Basic " + base64.b64encode(b"admin:secret").decode())
print(urllib.request.urlopen(request, timeout=20).read().decode())
"""
TELNET = """
import socket
line = socket.create_connection(("192.0.2.1", 23), 20)
def wait(text):
    octets = b""
    while text not in octets:
        octets += line.recv(4096)
    print(octets.decode(), end="")
dialogue = {b"Login: ": b"admin", b"Password: ": b"secret", b"]: ": b"port/showinfo", b"Success": b"bogus"}
for text, answer in dialogue.items():
    wait(text)
    line.sendall(answer + b"\\r\\n")
wait(b"Function not implemented")
"""


@contextmanager
def vdetelweb(program: str, switch: SwitchProcess) -> Iterator[None]:
    rc: Path = switch.home / "rc"
    rc.write_text(f"ip4 192.0.2.1/24\npassword {hashlib.sha1(PASSWORD.encode()).hexdigest()}\n")
    with Console(switch.management) as console:
        console.command("debug/add port/ep/+")
        process = subprocess.Popen(
            [program, "--web", "--telnet", "--nodename", "node", "--rcfile", rc, switch.management],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert console.wait_line("3031 port/ep/+").startswith("3031 port/ep/+ Port 00 FD ")
            yield
            assert process.poll() is None
        finally:
            process.kill()  # it may ignore the others
            process.wait(PATIENCE_S)


def test_telnet_and_web_pages(start_switch: StartSwitch, need_tool: NeedTool, two_namespaces: tuple[str, str]) -> None:
    namespace, _ = two_namespaces
    program = need_tool("vdetelweb")
    tap = f"vw{namespace[4:]}"
    switch = start_switch("-t", tap)
    subprocess.run(["ip", "link", "set", tap, "netns", namespace], check=True)
    in_namespace(namespace, "ip", "address", "add", "192.0.2.2/24", "dev", tap)
    in_namespace(namespace, "ip", "link", "set", tap, "up")
    with vdetelweb(program, switch):
        shown = in_namespace(namespace, sys.executable, "-c", TELNET)
        assert shown.startswith("VDE switch V.2.3.2\n")
        assert f"VDE2@node[{switch.directory}]: " in shown
        assert "Numports=32\nHUB=false\n" in shown

        home = in_namespace(namespace, sys.executable, "-c", BROWSE, "http://192.0.2.1/")
        for menu in ("ds", "plugin", "hash", "fstp", "port", "vlan"):
            assert f'<A HREF="{menu}.html">{menu}</A>' in home
        page = in_namespace(namespace, sys.executable, "-c", BROWSE, "http://192.0.2.1/port.html")
        assert "PORT STATUS MENU" in page
        for command in ("createauto", "allprint", "showmirror"):
            assert f'name="COMMAND" value="{command}"' in page
    switch.stop()
