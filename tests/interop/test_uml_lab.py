"""User-Mode Linux as a node of a lab: it pings a view through a wire, and is pinged."""

import os
from pathlib import Path

import pytest

from tests.lab_runner import LabRunner
from vde.image import store
from vde.image.errors import ImageError

pytestmark = [pytest.mark.interop, pytest.mark.slow]

LAB = """
nodes:
  sw: {kind: switch}
  u: {kind: uml, ipv4: 10.0.0.3/24}
  v: {kind: view, ipv4: 10.0.0.1/24}
links:
  - u -- sw
  - {name: slow, endpoints: [v, sw], impair: {delay: 3ms}}
checks:
  one: {node: v, ping: u}
  other: {node: u, ping: v}
"""


def test_user_mode_linux_and_a_view_ping_each_other(short_path: Path) -> None:
    try:
        store.pull("uml")
    except ImageError as error:
        if "no connection" in str(error) and not os.environ.get("CI"):
            pytest.skip(f"no network: {error}")
        raise
    with LabRunner(short_path, fake_guests=False) as labs:
        labs.write(LAB)
        output = labs.vde("up", timeout_s=120)
        assert "check one: ok: 3 of 3" in output
        assert "check other: ok: 3 of 3" in output
        node = labs.nodes()["u"]
        assert node["interfaces"][0]["mac"] in labs.vde(
            "console", "u", "--linger", "3s", stdin=b"cat /sys/class/net/eth0/address\n"
        )
        labs.vde("down")
        labs.assert_nothing_is_left()
