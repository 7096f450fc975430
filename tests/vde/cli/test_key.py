"""`vde key`."""

from pathlib import Path

import pytest

from plugs.parts.dtls_identity import CONNECTOR, LISTENER, key_name, private_key, read_key
from vde.cli.main import main


def test_a_key_is_made_once_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "key")
    assert main(["key", "new", path]) == 0
    made = capsys.readouterr().out
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert main(["key", "name", path]) == 0
    assert capsys.readouterr().out == made == key_name(read_key(path)) + "\n"
    assert main(["key", "new", path]) == 2
    assert "File exists" in capsys.readouterr().err


def test_two_keys_differ_and_so_do_the_roles(tmp_path: Path) -> None:
    keys = []
    for name in ("a", "b"):
        assert main(["key", "new", str(tmp_path / name)]) == 0
        keys.append(read_key(str(tmp_path / name)))
    numbers = {private_key(key, role).private_numbers().private_value for key in keys for role in (LISTENER, CONNECTOR)}
    assert len(numbers) == 4
    assert private_key(keys[0], LISTENER).private_numbers() == private_key(keys[0], LISTENER).private_numbers()


def test_the_derivation_does_not_change() -> None:
    """Both ends of a tunnel must agree, whatever releases they are of."""
    key = bytes(range(32))
    assert key_name(key) == KNOWN_NAME
    assert private_key(key, LISTENER).private_numbers().private_value % (1 << 64) == KNOWN_LISTENER


KNOWN_NAME = "fcf20ad8419776e8"
KNOWN_LISTENER = 0xE6BA4B0DBA31159A
