"""- is this process's standard input and output: shown by one that has it between two pipes."""

import subprocess
import sys

from tests.vde_client import frame
from vde.framing import encode

ECHO = """
import trio
from plugs import registry
from tests.plugs.surroundings import TestSurroundings
from vde.errors import LinkEnded
async def main():
    async with registry.open_link("-", TestSurroundings()) as link:
        try:
            while True:
                await link.send(await link.receive())
        except LinkEnded as end:
            raise SystemExit(str(end))
trio.run(main)
"""


def test_frames_come_back_and_the_end_is_seen() -> None:
    sent = encode([frame(number, None, bytes(number)) for number in range(200)])
    done = subprocess.run([sys.executable, "-c", ECHO], input=sent, capture_output=True, check=False, timeout=20)
    assert done.stdout == sent
    assert done.stderr == b"standard input and output: end of the stream\n"


def test_a_closed_standard_input_is_told() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" <&- 2>&1', sys.executable, ECHO], capture_output=True, text=True, check=False
    )
    assert "-: standard input or output is not open: Bad file descriptor" in done.stdout
