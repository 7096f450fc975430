"""The file of a capture: slow pipes, and what waits for them."""

import os
from pathlib import Path

import pytest

from switch.plugins.capture_file import WAITING_OCTETS, CaptureFile


def test_a_slow_pipe_gets_every_block_that_was_taken_and_no_other(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        file = CaptureFile(f"{tmp_path}/pipe", append=False, buffered=False)
        taken = b""
        serial = 0
        while file.write(block := serial.to_bytes(4) * 2048):
            taken += block
            serial += 1
        assert WAITING_OCTETS <= len(taken) <= WAITING_OCTETS + (1 << 20) + len(block)
        read = b""
        while len(read) < len(taken):
            read += os.read(reader, 1 << 20)
            file.flush()
        assert read == taken
        assert file.write(block)
        file.close()
        assert os.read(reader, 1 << 20) == block
    finally:
        os.close(reader)


def test_a_pipe_that_still_has_to_take_something_is_an_error_at_the_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        file = CaptureFile(f"{tmp_path}/pipe", append=False, buffered=True)
        file.write(bytes(1 << 20))
        with pytest.raises(OSError, match="does not keep up"):
            file.close()
    finally:
        os.close(reader)


def test_a_reader_that_goes_away_ends_the_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = CaptureFile(f"{tmp_path}/pipe", append=False, buffered=False)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        file.write(b"block")
    file.close()


def test_continuing_a_file_keeps_what_it_holds(tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    for append, expected in ((False, b"one"), (True, b"oneone"), (False, b"one")):
        file = CaptureFile(path, append=append, buffered=True)
        file.write(b"one")
        file.close()
        assert Path(path).read_bytes() == expected
