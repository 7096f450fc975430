"""What only our switch has: that its commands do what they say."""

import json

from switch.core import SECOND_NS
from switch.forwarding.contract import Direction
from tests.switch.console.rig import Rig
from tests.vde_client import frame, tagged


def test_a_mirror_copies_what_crosses_a_port(rig: Rig) -> None:
    ends = {port: rig.plug(port)[1] for port in (1, 2, 3)}
    assert rig.do("port/mirror 3 1 in") == "1000 Success\n"
    assert rig.switch.mirrors == {3: {1: Direction.IN}}
    rig.send(ends[1], frame(1))
    rig.send(ends[2], frame(2))
    assert ends[3].recv(2000) == frame(1)
    assert ends[1].recv(2000) == frame(2)
    assert rig.forwarder.queue_length(7) == 0
    assert rig.do("port/delmirror 3") == "1000 Success\n"
    rig.send(ends[2], frame(2))
    assert ends[3].recv(2000) == frame(2)


def test_transparent_vlans_let_tags_of_undefined_vlans_pass(rig: Rig) -> None:
    one, two = rig.plug(1)[1], rig.plug(2)[1]
    rig.send(one, tagged(frame(1), 77))
    assert rig.data("port/drops 1")[0] == "Port 0001 dropped 1 not_learned 0"
    assert rig.data("port/drops 1")[1] == "  -- vlan                  1"
    rig.do("vlan/transparent 1")
    rig.send(one, tagged(frame(1), 77))
    assert two.recv(2000) == tagged(frame(1), 77)


def test_a_shorter_queue_takes_fewer_frames(rig: Rig) -> None:
    one, two = rig.plug(1)[1], rig.plug(2)[1]
    assert rig.do("port/epqlen 2 6 3") == "1000 Success\n"
    before = 0
    while rig.forwarder.statistics(2).drops == {}:
        rig.send(one, *[frame(1)] * 50)
        before += 50
    assert rig.data("port/drops 2")[-1] == "  -- endpoint ID 0006 queue 3 of 3"
    kept = 0
    two.setblocking(False)
    try:
        while two.recv(2000):
            kept += 1
            rig.poll()
    except BlockingIOError:
        pass
    assert kept + sum(rig.forwarder.statistics(2).drops.values()) == before


def test_json_tells_what_the_tables_tell(rig: Rig) -> None:
    one = rig.plug(1, 'first "one"')[1]
    rig.plug(2, "zwei\n\udcff", uid=4242)
    for line in ("vlan/create 5", "vlan/addport 5 1", "port/setmaxmac 1 7", "port/create 3", "port/mirror 3 1,2 out"):
        assert rig.do(line) == "1000 Success\n"
    rig.send(one, frame(1))
    rig.wait(5)
    (line,) = rig.data("json")
    document = json.loads(line)
    assert document["uptime_s"] == 5
    assert document["addresses"]["limit"] == 1 << 20
    assert document["mac"] == "00:ff:00:00:00:01"
    assert document["mirrors"] == [{"port": 3, "sources": {"1": "OUT", "2": "OUT"}}]
    first, second, third = document["ports"]
    assert (first["in_frames"], first["in_octets"], first["address_limit"]) == (1, 60, 7)
    assert first["endpoints"] == [
        {"id": 5, "module": "unix prog", "description": 'first "one"', "queued": 0, "queue_frames": 128}
    ]
    assert (second["current_user"], second["endpoints"][0]["description"]) == (4242, "zwei\n\udcff")
    assert (third["active"], third["allocatable"], third["endpoints"]) == (False, False, [])
    assert document["vlans"][1] == {
        "vlan": 5,
        "members": [{"port": 1, "tagged": True, "learning": True, "forwarding": True}],
    }


def test_ages_count_from_the_last_frame(rig: Rig) -> None:
    one = rig.plug(1)[1]
    rig.send(one, frame(1))
    rig.wait(3)
    rig.send(one, frame(1))
    rig.now_ns += SECOND_NS - 1
    assert rig.data("hash/print")[0].endswith("age 0 secs")
    rig.now_ns += 1
    assert rig.data("hash/print")[0].endswith("age 1 secs")
