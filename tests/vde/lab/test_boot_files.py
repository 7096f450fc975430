"""What guests boot from."""

from pathlib import Path

import pytest

from vde.errors import ConfigError
from vde.image import store
from vde.lab.boot_files import check_command_lines
from vde.lab.read import load


def test_a_kernel_command_line_that_the_loader_would_cut_is_refused_with_the_guests_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.Image("debian-malta", "mipsel", Path("/k"), Path("/i"), "6.1", "console=ttyS0", 200)
    monkeypatch.setattr(store, "open_image", lambda name: image)
    file = tmp_path / "lab.yml"
    text = "nodes:\n  sw: {kind: switch}\n  far: {kind: qemu, image: debian-malta, cmdline: %s}\nlinks: [far -- sw]\n"
    file.write_text(text % "quiet")
    check_command_lines(load(file))
    file.write_text(text % ("x" * 190))
    with pytest.raises(ConfigError, match=r"node 'far': .* at most 200 reach the kernel"):
        check_command_lines(load(file))
