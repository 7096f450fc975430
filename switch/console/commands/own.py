"""Commands without a menu that the original does not have."""

import json
import os
from typing import Any

from switch.console.call import Call
from switch.console.registry import Command
from switch.core import SECOND_NS
from switch.plugged import Plugged
from switch.ports import Port
from vde.frame import format_mac


def explain(call: Call) -> None:
    """The sentence behind this session's last error status; nothing if there was none."""
    if call.session.last_error:
        call.print(call.session.last_error)


def print_json(call: Call) -> None:
    """Everything but the learned addresses, as one line of JSON."""
    switch, settings, console = call.switch, call.switch.settings, call.console
    document: dict[str, Any] = {
        "version": console.version,
        "pid": os.getpid(),
        "mac": format_mac(settings.mac),
        "uptime_s": switch.uptime_s(call.now_ns),
        "directory": console.directory,
        "management": console.management,
        "num_ports": switch.ports.count,
        "hub": settings.hub,
        "fstp": settings.fstp,
        "priority": settings.priority,
        "vlan_transparent": settings.vlan_transparent,
        "addresses": {
            "limit": settings.table_limit,
            "expire_s": settings.aging.expire_s,
            "gc_interval_s": settings.aging.gc_interval_s,
            "min_persistence_s": settings.aging.min_persistence_s,
        },
        "queue_frames": settings.queue_frames,
        "events_lost": switch.forwarder.events_lost(),
        "plugs": [_plug(call, plugged) for plugged in call.console.plug_board],
        "plugins": [plugin.name for plugin in console.plugins.loaded("")],
        "ports": [_port(call, port) for port in switch.ports],
        "vlans": [
            {
                "vlan": vlan,
                "members": [
                    {"port": number, "tagged": tagged} | dict(zip(("learning", "forwarding"), state, strict=True))
                    for number, tagged in sorted(members.items())
                    for state in [switch.state(vlan, number)]
                ],
            }
            for vlan, members in sorted(switch.vlans.items())
        ],
        "mirrors": [
            {"port": destination, "sources": {str(source): way.name for source, way in sorted(sources.items())}}
            for destination, sources in sorted(switch.mirrors.items())
        ],
    }
    call.print(json.dumps(document))


def _plug(call: Call, plugged: Plugged) -> dict[str, Any]:
    link = plugged.link
    statistics = None if link is None else link.statistics()
    return {
        "plug": plugged.number,
        "vnl": plugged.vnl,
        "port": plugged.port,
        "state": plugged.state,
        "since_s": (call.now_ns - plugged.since_ns) // SECOND_NS,
        "ended": plugged.breaks,
        "failed": plugged.failures,
        "last_error": plugged.last_error,
        "direct": None if link is None else link.direct,
        "dropped_out": {} if statistics is None else dict(statistics.dropped_out),
        "dropped_in": {} if statistics is None else dict(statistics.dropped_in),
        "link": {} if link is None else dict(link.state()),
    }


def _port(call: Call, port: Port) -> dict[str, Any]:
    counters = call.switch.forwarder.statistics(port.number)
    return {
        "port": port.number,
        "active": port.active,
        "allocatable": port.allocatable,
        "native_vlan": port.native_vlan,
        "user": port.user,
        "group": port.group,
        "current_user": port.current_user,
        "address_limit": port.address_limit,
        "storm_limit": port.storm_limit,
        "in_frames": counters.in_frames,
        "in_octets": counters.in_octets,
        "out_frames": counters.out_frames,
        "out_octets": counters.out_octets,
        "not_learned": counters.not_learned,
        "drops": {reason.name.lower(): count for reason, count in sorted(counters.drops.items())},
        "endpoints": [
            {
                "id": endpoint.id,
                "module": endpoint.module,
                "description": endpoint.description,
                "queued": call.switch.forwarder.queue_length(endpoint.id),
                "queue_frames": endpoint.queue_frames,
            }
            for endpoint in port.endpoints
        ],
    }


ENTRIES = (
    Command("why", "", "explain the last error of this terminal", explain, framed=True),
    Command("json", "", "print configuration and counters as one JSON object", print_json, framed=True),
)
