"""Putting libvdeplug's module where libvdeplug finds it."""

from pathlib import Path

import pytest

from plugs import module
from vde.cli.main import main
from vde.errors import ConfigError


def test_into_a_directory_of_ones_choice(tmp_path: Path) -> None:
    where = tmp_path / "made" / "modules"
    for _ in range(2):  # the second time in place of the first
        done = module.install(where)
        assert done.path == where / module.NAME
        assert done.path.read_bytes() == module.BUILT.read_bytes()
        assert [path.name for path in where.iterdir()] == [module.NAME]
    assert done.variable.startswith(f"VDEPLUGIN_PATH={where}")


def test_for_oneself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["plug", "install-module", "--user"]) == 0
    installed = tmp_path / ".local/lib/vdeplug" / module.NAME
    assert installed.exists()
    shown = capsys.readouterr().out
    assert f"installed: {installed}" in shown
    assert f"export VDEPLUGIN_PATH={installed.parent}" in shown


def test_the_library_s_own_directory_is_the_one_with_its_modules(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="apt install libvdeplug2"):
        module.system_directory([str(tmp_path)])
    own = tmp_path / "x86_64-linux-gnu" / "vdeplug"
    own.mkdir(parents=True)
    (own / module.OWN_MODULE).touch()
    assert module.system_directory([str(tmp_path)]) == own.resolve()


def test_what_cannot_be_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file"):
        module.install(tmp_path / "file" / "below")
    assert main(["plug", "--user", "vde:///nowhere"]) == 2
    monkeypatch.setattr(module, "BUILT", tmp_path / "missing.so")
    with pytest.raises(ConfigError, match="was not built: make"):
        module.install(tmp_path)
