"""`vde view`, as root and as a user without any privilege: real programs in views of their own."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.interop.unprivileged import NOBODY, ROOT
from tests.switch_process import SwitchProcess
from tests.tools import NeedTool

pytestmark = pytest.mark.interop
VDE = str(Path(sys.executable).parent / "vde")
PATIENCE_S = 60.0
FETCH = """
import sys, time, urllib.request
for attempt in range(600):
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=1).read().decode())
        break
    except OSError:
        time.sleep(0.05)
"""


class Views:
    """Starts views as one user, in a directory of that user's.

    Attributes:
        home: the directory.
        is_root: are we?
    """

    def __init__(self, home: Path, temporary: Path, is_root: bool) -> None:
        self.home = home
        self.environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
        self.is_root = is_root
        self._prefix = [] if is_root else [sys.executable, "-m", "tests.interop.unprivileged"]
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *words: str, program: Sequence[str] = (VDE, "view"), **settings: object) -> "subprocess.Popen[str]":
        command = [*self._prefix, "sh", "-c", f'cd "{self.home}" && exec "$@"', "sh", *program, *words]
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
        process = subprocess.Popen(command, text=True, cwd=ROOT, env=self.environment, **given)  # type: ignore[call-overload]
        self._processes.append(process)
        return process  # type: ignore[no-any-return]

    def run(self, *words: str, status: int = 0, program: Sequence[str] = (VDE, "view")) -> str:
        """What a view prints; its exit status is looked at."""
        process = self.start(*words, program=program)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == status, (words, out, err)
        return out if status == 0 else out + err

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture(params=["root", "nobody"])
def views(request: pytest.FixtureRequest, short_path: Path) -> Iterator[Views]:
    if os.geteuid() != 0:
        pytest.skip("being root, and being nobody, need root")
    short_path.chmod(0o755)
    home, temporary = short_path / "home", short_path / "tmp"
    for directory in (home, temporary):
        directory.mkdir()
        if request.param == "nobody":
            os.chown(directory, NOBODY, NOBODY)
    made = Views(home, temporary, request.param == "root")
    try:
        yield made
    finally:
        made.close()
    assert os.listdir(temporary) == [], "something was left behind"
    assert "vde0" not in os.listdir("/sys/class/net")
    assert str(short_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def switch(views: Views, start_switch: Callable[..., SwitchProcess]) -> SwitchProcess:
    made = start_switch("--mode", "0777", "--dirmode", "0777")
    made.home.chmod(0o755)
    return made


def test_two_views_ping_each_other(views: Views, switch: SwitchProcess, need_tool: NeedTool) -> None:
    ping = need_tool("ping")
    net = f"vde://{switch.directory}"
    far = views.start("--net", net, "--addr", "10.0.0.1/24", "--addr", "2001:db8::1/64", "--", "sh", "-c", "echo; cat",
                      stdin=subprocess.PIPE)  # fmt: skip
    assert far.stdout is not None
    assert far.stdout.readline() == "\n"
    near = ["--net", net, "--addr", "10.0.0.2/24", "--addr", "2001:db8::2/64", "--"]
    assert "3 received" in views.run(*near, ping, "-c", "3", "-i", "0.2", "10.0.0.1")
    assert "3 received" in views.run(*near, ping, "-c", "3", "-i", "0.2", "2001:db8::1")
    assert any(": vde view user=" in line for line in switch.command("port/print"))
    far.communicate(timeout=PATIENCE_S)
    assert far.returncode == 0


def test_a_web_server_in_one_view_and_its_client_in_another(views: Views, switch: SwitchProcess) -> None:
    net = f"vde://{switch.directory}"
    (views.home / "index.html").write_text("from the other view")
    server = views.start(
        "--net", net, "--addr", "10.0.0.1/24", "--", sys.executable, "-m", "http.server", "-b", "10.0.0.1", "80"
    )
    client = ["--net", net, "--addr", "10.0.0.2/24", "--", sys.executable, "-c", FETCH, "http://10.0.0.1/"]
    assert "from the other view" in views.run(*client)
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=PATIENCE_S)
    assert server.returncode == -signal.SIGTERM, "a signal to the view did not reach the program"


def test_vdens_has_several_networks_capabilities_and_name_servers(
    views: Views, start_switch: Callable[..., SwitchProcess], switch: SwitchProcess
) -> None:
    other = start_switch("--mode", "0777", "--dirmode", "0777", name="b")
    other.home.chmod(0o755)
    (views.home / "bound").write_text("bound")
    script = (
        "hostname; ls /sys/class/net; cat /etc/resolv.conf; mount --bind bound /etc/issue && cat /etc/issue; exit 5"
    )
    vdens = (sys.executable, "-m", "vde.cli.programs.vdens")
    out = views.run(
        "-m", "-s", "-i", "eth", "-H", "inside", "-R", "192.0.2.1,192.0.2.2", str(switch.directory),
        str(other.directory), "--", "sh", "-c", f"({script}); echo $?", program=vdens,
    )  # fmt: skip
    assert out.split() == [
        "inside", "eth0", "eth1", "lo", "nameserver", "192.0.2.1", "nameserver", "192.0.2.2", "bound5"
    ]  # fmt: skip
    views.run("no", "sh", "-c", "exit 7", status=7, program=vdens)
    assert "vdens: /nonexistent: " in views.run("/nonexistent", "true", status=1, program=vdens)


def test_several_networks_at_once_and_views_within_views(
    views: Views, start_switch: Callable[..., SwitchProcess], switch: SwitchProcess, need_tool: NeedTool
) -> None:
    other = start_switch("--mode", "0777", "--dirmode", "0777", name="b")
    other.home.chmod(0o755)
    nets = [f"vde://{one.directory}" for one in (switch, other)]
    pinging = f"hostname; {need_tool('ping')} -c 2 10.0.1.1"
    inner = f"{VDE} view --net {nets[1]} --addr 10.0.1.2/24 --hostname inner -- sh -c '{pinging}'"
    script = f"hostname; ls /sys/class/net; ip -o addr show dev b; {inner}; hostname"
    out = views.run(
        "--net", nets[0], "--addr", "10.0.0.1/24", "--net", nets[1], "--addr", "10.0.1.1/24", "--ifname", "b",
        "--hostname", "outer", "--", "sh", "-c", script,
    )  # fmt: skip
    lines = out.splitlines()
    assert lines[:4] == ["outer", "b", "lo", "vde0"]
    assert "10.0.1.1/24" in lines[4]
    assert "inner" in lines
    assert "2 received" in out
    assert lines[-1] == "outer"


def test_the_network_comes_back_when_its_switch_does(
    views: Views, start_switch: Callable[..., SwitchProcess], switch: SwitchProcess, need_tool: NeedTool
) -> None:
    net = f"vde://{switch.directory}"
    loop = f"until {need_tool('ping')} -c 1 -w 1 10.0.0.2 >/dev/null; do :; done; echo there; read go; "
    view = views.start("--net", net, "--addr", "10.0.0.1/24", "--", "sh", "-c", loop * 2, stdin=subprocess.PIPE)
    views.start("--net", net, "--addr", "10.0.0.2/24", "--", "cat", stdin=subprocess.PIPE)
    assert view.stdout is not None
    assert view.stdin is not None
    assert view.stdout.readline() == "there\n"
    switch.stop()
    start_switch("--mode", "0777", "--dirmode", "0777")
    view.stdin.write("go\n")
    view.stdin.flush()
    assert view.stdout.readline() == "there\n"


@pytest.mark.parametrize("where", ["directory", "memory"])
def test_programs_write_into_an_overlay_and_the_host_is_untouched(views: Views, where: str) -> None:
    """As a package manager does: new files, replaced files, removed directories, in /usr and /etc."""
    overlay = ["--overlay", str(views.home / "changes")] if where == "directory" else ["--overlay-tmp"]
    script = """
        set -e
        mkdir -p /usr/local/lib/thing && echo data >/usr/local/lib/thing/data
        printf '#!/bin/sh\\necho works\\n' >/usr/local/bin/thing.new
        chmod 755 /usr/local/bin/thing.new && mv /usr/local/bin/thing.new /usr/local/bin/thing
        sed s/nobody/somebody/ /etc/passwd >/etc/passwd.new && mv /etc/passwd.new /etc/passwd
        rm -rf /etc/apt && mkdir /etc/apt && echo new >/etc/apt/only
        thing; ls /etc/apt; grep -c somebody /etc/passwd; echo here >made; cat made
    """
    before = Path("/etc/passwd").read_bytes(), sorted(os.listdir("/etc/apt"))
    own = ["--own", "/usr/local", "--own", "/etc"]
    out = views.run("--root", *overlay, *own, "--", "sh", "-c", script)
    assert out.split() == ["works", "only", "1", "here"]
    assert (Path("/etc/passwd").read_bytes(), sorted(os.listdir("/etc/apt"))) == before
    assert not Path("/usr/local/bin/thing").exists()
    assert not (views.home / "made").exists()
    if where == "directory":
        again = views.run("--root", *overlay, *own, "--", "sh", "-c", "thing; cat /etc/apt/*; cat made")
        assert again.split() == ["works", "new", "here"]
        upper = views.home / "changes" / "upper"
        assert (upper / "usr/local/lib/thing/data").read_text() == "data\n"
        shutil.rmtree(views.home / "changes")


def test_apt_installs_a_package_into_an_overlay(views: Views, need_tool: NeedTool, tmp_path: Path) -> None:
    """Debian's own package manager, with dpkg; their databases are the host's, seen through the overlay."""
    if not views.is_root:
        pytest.skip("apt and dpkg change files of root's in place, which takes root")
    tree = views.home / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "opt/vde-test").mkdir(parents=True)
    (tree / "opt/vde-test/file").write_text("installed")
    (tree / "DEBIAN/control").write_text(
        "Package: vde-test\nVersion: 1\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.invalid>\nDescription: test\n"
    )
    subprocess.run([need_tool("dpkg-deb"), "--build", str(tree), str(views.home / "vde-test.deb")], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    status = Path("/var/lib/dpkg/status").stat()
    apt = f"DEBIAN_FRONTEND=noninteractive {need_tool('apt-get')} -qq -y install ./vde-test.deb"
    script = f"{apt} >&2 && cat /opt/vde-test/file && dpkg -s vde-test | grep Status"
    out = views.run("--overlay", str(views.home / "changes"), "--", "sh", "-c", script)
    assert out == "installedStatus: install ok installed\n"
    assert Path("/var/lib/dpkg/status").stat() == status
    assert not Path("/opt/vde-test").exists()


def test_binds_name_servers_and_clocks(views: Views) -> None:
    (views.home / "mine").write_text("mine\n")
    out = views.run(
        "--net", "none", "--dns", "192.0.2.53", "--bind", f"{views.home}/mine:/etc/issue:ro", "--overlay-tmp",
        "--time-offset", "1d", "--", "sh", "-c",
        "cat /etc/resolv.conf /etc/issue; (echo x >/etc/issue) 2>&1 | grep -o 'Read-only file system'; "
        "date +%s; cat /proc/uptime",
    )  # fmt: skip
    *lines, date, uptime = out.splitlines()
    assert abs(int(date) - time.time()) < PATIENCE_S, "the time of day is nobody's to shift"
    assert lines == ["nameserver 192.0.2.53", "mine", "Read-only file system"]
    outside = float(Path("/proc/uptime").read_text().split()[0])
    assert 86400 - PATIENCE_S < float(uptime.split()[0]) - outside < 86400 + PATIENCE_S
    assert "192.0.2.53" not in Path("/etc/resolv.conf").read_text()


def test_exit_status_and_signals_pass_through(views: Views) -> None:
    views.run("--", "sh", "-c", "exit 7", status=7)
    views.run("--pid", "--", "sh", "-c", "exit 7", status=7)
    views.run("--", "sh", "-c", "kill -USR2 $$", status=-signal.SIGUSR2)
    assert "nonexistent: No such file" in views.run("--", "nonexistent", status=127)
    assert "Permission denied" in views.run("--", "/etc/passwd", status=126)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        script = f"trap 'echo got; exit 3' {number:d}; echo ready; while :; do read x; done"
        for extra in ([], ["--pid"]):
            view = views.start(*extra, "--", "sh", "-c", script, stdin=subprocess.PIPE)
            assert view.stdout is not None
            assert view.stdout.readline() == "ready\n"
            view.send_signal(number)
            out, _ = view.communicate("\n", timeout=PATIENCE_S)
            assert (out, view.returncode) == ("got\n", 3)


def test_own_processes_end_with_the_command(views: Views) -> None:
    out = views.run("--pid", "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $$; ls -d /proc/[0-9]* | wc -l")
    first, count = out.split()
    assert int(first) < 5
    assert int(count) < 10


def test_killing_the_view_kills_its_command(views: Views, switch: SwitchProcess) -> None:
    fifo = views.home / "fifo"
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    view = views.start(
        "--net", f"vde://{switch.directory}", "--", "sh", "-c", f"exec cat >{fifo}", stdin=subprocess.PIPE
    )
    with fifo.open() as reader:
        view.kill()
        view.wait(PATIENCE_S)
        assert reader.read() == "", "the command still holds its end"


INTERRUPTED = (  # no interrupt is lost: a shell may lose one between a check and its system call
    "import os, signal; s = {signal.SIGINT}; signal.pthread_sigmask(signal.SIG_BLOCK, s); "
    'os.isatty(0) and print("is-a-t" "ty", flush=True); '
    '[print("ou" "ch", flush=True) for n in iter(lambda: signal.sigwait(s), 0)]'
)


def test_the_terminal_and_job_control_work(views: Views) -> None:
    """In a shell on a terminal: Ctrl-C reaches the command only once, Ctrl-Z stops the view, `fg` goes on."""
    leader, follower = pty.openpty()
    prefix = [] if views.is_root else [sys.executable, "-m", "tests.interop.unprivileged"]
    shell = subprocess.Popen(
        [*prefix, "bash", "--norc", "-i"], stdin=follower, stdout=follower, stderr=follower, cwd=ROOT,
        env=views.environment | {"PS1": "prompt> ", "HISTFILE": ""}, start_new_session=True,
        preexec_fn=lambda: _control_terminal(follower),
    )  # fmt: skip
    os.close(follower)
    terminal = Terminal(leader)
    try:
        terminal.wait("prompt> ")
        terminal.type(f"{VDE} view -- python3 -c '{INTERRUPTED}'\n")
        terminal.wait("is-a-tty\r\n")
        job = os.tcgetpgrp(leader)
        terminal.type("\x03")
        terminal.wait("ouch\r\n")
        terminal.type("\x1a")
        terminal.wait("Stopped")
        terminal.wait("prompt> ")
        terminal.type_until("fg\n", INTERRUPTED[-9:] + "'\r\n")
        terminal.wait_for_job(job)  # the shell shows the command before it gives it the terminal
        terminal.type("\x03")
        terminal.wait("ouch\r\n")
        assert terminal.seen.count("ouch\r\n") == 2
        terminal.type("\x1c")
        terminal.wait("prompt> ")
        terminal.type("echo sta''tus $?; exit\n")
        terminal.wait("status 131")
        shell.wait(PATIENCE_S)
    finally:
        shell.kill()
        shell.wait()
        os.close(leader)


class Terminal:
    """The other side of a terminal."""

    def __init__(self, leader: int) -> None:
        self.seen = ""
        self._leader = leader
        self._position = 0

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def type_until(self, line: str, text: str) -> None:
        """Type a line, again if it had no effect: what is typed while a shell takes its terminal back may be lost."""
        for _ in range(int(PATIENCE_S)):
            self.type(line)
            deadline = time.monotonic() + 1
            while text not in self.seen[self._position :] and time.monotonic() < deadline:
                self._read(deadline - time.monotonic())
            if text in self.seen[self._position :]:
                break
        self.wait(text)

    def wait_for_job(self, group: int) -> None:
        """Until this process group is in the foreground."""
        deadline = time.monotonic() + PATIENCE_S
        while os.tcgetpgrp(self._leader) != group:
            assert time.monotonic() < deadline, "the job does not come to the foreground"
            os.sched_yield()

    def wait(self, text: str) -> None:
        while (found := self.seen.find(text, self._position)) < 0:
            assert self._read(PATIENCE_S), f"no {text!r} in {self.seen[self._position :]!r}"
        self._position = found + len(text)

    def _read(self, patience_s: float) -> bool:
        """Was there something to see in time?"""
        ready, _, _ = select.select([self._leader], [], [], max(patience_s, 0))
        if ready:
            with contextlib.suppress(OSError):  # EIO: the shell has ended
                self.seen += os.read(self._leader, 65536).decode(errors="replace")
        return bool(ready)


def _control_terminal(descriptor: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--net", "/nonexistent"], 1, "/nonexistent"),
        (["--net", "nosuch://x"], 2, "nosuch:// is unknown"),
        (["--net", "null://", "--addr", "10.0.0.1/24", "--gw", "10.9.9.9"], 2, "no interface is in its network"),
        (["--net", "null://", "--ifname", "sixteen-octets-x"], 2, "a name of 1 to 15 octets"),
        (["--bind", "/nonexistent:/etc"], 2, "bind /nonexistent: No such file"),
        (["--bind", "/etc:/nonexistent"], 2, "there is no /nonexistent"),
        (["--bind", "/etc:/etc/passwd"], 2, "one is a directory and the other is a file"),
        (["--overlay-tmp", "--own", "/nonexistent"], 2, "there is no such directory"),
        (["--overlay", "/proc/x"], 2, "overlay /proc/x: "),
        (["--time-offset", "-10000d"], 2, "would be negative"),
        (["--time-offset", "60000d"], 2, "or too late"),
    ],
)
def test_what_is_not_possible(views: Views, words: list[str], status: int, message: str) -> None:
    assert message in views.run(*words, "--", "true", status=status)
