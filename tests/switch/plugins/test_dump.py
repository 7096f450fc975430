"""`dump`: frames as lines."""

from switch.console.session import PROMPT
from tests.switch.console.rig import Rig
from tests.vde_client import frame


def test_frames_are_shown_to_those_who_asked_while_it_is_active(rig: Rig) -> None:
    rig.do("plugin/add dump")
    one = rig.plug(1)[1]
    rig.plug(2)
    session = rig.listen("dump/packetin")
    rig.send(one, frame(1))
    assert session.take() == b""
    rig.do("dump/active 1")
    rig.do("dump/active 1")
    rig.send(one, frame(1))
    octets = frame(1).hex(" ").encode()
    assert session.take() == b"3101 dump/packetin Pkt: Port 0001 len=0060 " + octets + b" \n"
    rig.say(b"debug/add dump\n", session)
    rig.send(one, frame(1))
    assert session.take() == (
        b"3101 dump/packetin Pkt: Port 0001 len=0060 " + octets + b" \n"
        b"3102 dump/packetout Pkt: Port 0002 len=0060 " + octets + b" \n"
    )
    assert rig.say(b"dump/active 0\n", session) == b"1000 Success\n" + PROMPT
    rig.send(one, frame(1))
    assert session.take() == b""


def test_unloading_it_ends_everything(rig: Rig) -> None:
    rig.do("plugin/add dump")
    session = rig.listen("dump")
    rig.do("dump/active 1")
    rig.do("plugin/del dump")
    one = rig.plug(1)[1]
    rig.send(one, frame(1))
    assert session.take() == b""
    assert rig.do("dump/active 1") == "1038 Function not implemented\n"
    session.end()
    assert rig.do("plugin/add dump") == "1000 Success\n"


def test_all_plugins_together(rig: Rig) -> None:
    for name in ("dump", "pdump", "iplog"):
        assert rig.do(f"plugin/add {name}") == "1000 Success\n"
    session = rig.listen("dump")
    rig.do("dump/active 1")
    one = rig.plug(1)[1]
    rig.send(one, frame(1))
    assert session.take().startswith(b"3101 dump/packetin Pkt: Port 0001 len=0060 ff ff")
    for name in ("iplog", "dump", "pdump"):
        assert rig.do(f"plugin/del {name}") == "1000 Success\n"
    assert [entry.path for entry in rig.console.registry if "dump" in entry.path or "iplog" in entry.path] == []
