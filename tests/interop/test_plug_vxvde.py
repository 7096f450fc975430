"""vxvde:// with Debian's vde_plug: on one host, and by a wire."""

from contextlib import ExitStack

import pytest
import trio

from plugs.registry import open_link
from tests.interop.namespaces import inside
from tests.interop.original_plug import exchange, open_original_plug, quiet, receive_ours
from tests.interop.test_plug_vxlan import ALL, PATIENCE_S, A, B, frame, wired  # noqa: F401 - a fixture
from tests.plugs.surroundings import TestSurroundings
from tests.tools import NeedTool

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("same_host", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("vxvde://", "vxvde://"),
        ("vxvde://234.0.0.1/vni=42/port=5000", "vxvde://234.0.0.1/vni=42/port=5000"),
        ("vxvde:///grp=daemon", "vxvde:///grp=daemon"),
        ("vxvde:///grp=", "vxvde:///grp="),
        ("vxvde://ff15::3/if=up0", "vxvde://ff15::3/if=up0"),
        ("vxvde:///v6/if=up0", "vxvde:///v6/if=up0"),
    ],
)
async def test_members_hear_each_other(
    need_tool: NeedTool,
    wired: tuple[str, str],  # noqa: F811
    ours: str,
    theirs: str,
    same_host: bool,
) -> None:
    need_tool("vde_plug")
    here, there = wired
    with trio.fail_after(PATIENCE_S), ExitStack() as stack:
        stack.enter_context(inside(here))
        async with open_link(ours, TestSurroundings()) as link:
            stack.close()
            async with open_original_plug(theirs, namespace=here if same_host else there) as original:
                assert await exchange(link, original, frame(ALL, A)) == frame(ALL, A)
                await quiet(original)
                for octets in (60, 590, 1514, 9000):
                    await original.send([frame(A, B, octets)])
                    assert await receive_ours(link) == frame(A, B, octets)
                    await link.send([frame(B, A, octets)])
                    assert await receive_ours(original) == frame(B, A, octets)
                assert link.state()["addresses"] == 1
                assert not link.statistics().dropped_in
                assert original.process.stdin is not None
                await original.process.stdin.aclose()
                await original.process.wait()
            while link.state()["addresses"]:  # their leave message has come
                with trio.move_on_after(0.1):
                    await link.receive()


async def test_bind_names_the_address_that_they_answer(need_tool: NeedTool, wired: tuple[str, str]) -> None:  # noqa: F811
    need_tool("vde_plug")
    here, there = wired
    with trio.fail_after(PATIENCE_S), ExitStack() as stack:
        stack.enter_context(inside(here))
        async with open_link("vxvde:///bind=10.9.0.1", TestSurroundings()) as link:
            stack.close()
            assert link.state()["address"] == "10.9.0.1"
            async with open_original_plug("vxvde:///bind=10.9.0.2", namespace=there) as original:
                await exchange(link, original, frame(ALL, A))
                await quiet(original)
                await original.send([frame(A, B)])
                assert await receive_ours(link) == frame(A, B)


async def test_debian_forgets_us_when_we_leave(need_tool: NeedTool, wired: tuple[str, str]) -> None:  # noqa: F811
    """Else their frames to our address would go to a port that is closed, and not to our successor."""
    need_tool("vde_plug")
    here, there = wired
    with trio.fail_after(PATIENCE_S):
        async with open_original_plug("vxvde://", namespace=there) as original:
            with ExitStack() as stack:
                stack.enter_context(inside(here))
                async with open_link("vxvde://", TestSurroundings()) as link:
                    stack.close()
                    await exchange(link, original, frame(ALL, A))
                    await quiet(original)
                    await original.send([frame(A, B)])
                    assert await receive_ours(link) == frame(A, B)
            with ExitStack() as stack:
                stack.enter_context(inside(here))
                async with open_link("vxvde://", TestSurroundings()) as successor:
                    stack.close()
                    assert await exchange(original, successor, frame(A, B)) == frame(A, B)
