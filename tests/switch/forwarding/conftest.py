"""Every test of a rule runs on both forwarders."""

import contextlib
from collections.abc import Iterator

import pytest

from switch.forwarding.contract import Limits
from tests.switch.forwarding.rig import Kind, MakeRig, Rig


@pytest.fixture(params=["python", "native", "sendmmsg"])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@pytest.fixture
def make_rig(kind: Kind) -> Iterator[MakeRig]:
    """`make_rig(vlans=(0, 10), max_frame_octets=1518)`: a rig that is closed with the test."""
    with contextlib.ExitStack() as stack:

        def make(*, vlans: tuple[int, ...] = (0,), **limits: int) -> Rig:
            return stack.enter_context(contextlib.closing(Rig(kind, Limits(**limits), vlans)))

        yield make


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Four ports in VLAN 0 with one endpoint each."""
    rig = make_rig()
    for number in (1, 2, 3, 4):
        rig.port(number)
    return rig
