"""wirefilter's commands: the table, and what each does to parameters. `console.py` frames and sends the answers.

A line means the first row of the table whose word it begins with (`showinfoXYZ` is `showinfo`, `bandwidthX 3` sets the
bandwidth); what follows, less blanks, is its argument. Numbers are read as atoi(3) and scanf(3) read them.
"""

import errno
import re
from collections.abc import Iterator

from vde.errors import Refused
from vde.wire.filter.nodes import NAME_CHARACTERS, PARAMETERS, SHORTEST_MS, Nodes

HELP = """\
COMMAND      HELP
------------ ------------
help         print a summary of mgmt commands
load         load a configuration file
showinfo     show status and parameter values
loss         set loss percentage
lostburst    mean length of lost packet bursts
delay        set delay ms
dup          set dup packet percentage
bandwidth    set channel bandwidth bytes/sec
speed        set interface speed bytes/sec
noise        set noise factor bits/Mbyte
mtu          set channel MTU (bytes)
chanbufsize  set channel buffer size (bytes)
fifo         set channel fifoness
shutdown     shut the channel down
logout       log out from this mgmt session
markov-numnodes n  markov mode: set number of states
markov-setnode n   markov mode: set current state
markov-name n,name markov mode: set state's name
markov-time ms     markov mode: transition period
setedge n1,n2,w    markov mode: set edge weight
showinfo n         markov mode: show parameter values
showedges n        markov mode: show edge weights
showcurrent        markov mode: show current state
markov-debug n     markov mode: set debug level""".splitlines()
"""The lines of `help`, which scripts may cut by columns: the layout is the original's."""

VALUES = {parameter: parameter for parameter in PARAMETERS} | {"band": "bandwidth", "capacity": "chanbufsize"}
SETTERS = (*VALUES, "markov-numnodes", "markov-name", "markov-time", "setedge")
TABLE = (
    *("help", "showinfo", "load"),
    *("delay", "loss", "lostburst", "dup", "bandwidth", "band", "speed", "chanbufsize", "capacity", "noise", "mtu"),
    *("fifo", "markov-numnodes", "markov-setnode", "markov-name", "markov-time", "setedge", "showedges"),
    *("showcurrent", "markov-debug", "logout", "shutdown"),
)
_INTEGER = re.compile(r"[ \t]*([+-]?[0-9]{1,9})")
_FLOAT = re.compile(r"[ \t]*([+-]?(?:[0-9]{1,64}\.?[0-9]{0,64}|\.[0-9]{1,64})(?:[eE][+-]?[0-9]{1,3})?)")


def find(line: str) -> tuple[str, str] | None:
    """The command that a line means, and its argument."""
    for word in TABLE:
        if line.startswith(word):
            return word, line[len(word) :].lstrip(" \t")
    return None


def atoi(text: str) -> int:
    """atoi(3): the number that the text begins with, or 0."""
    found = _INTEGER.match(text)
    return int(found[1]) if found else 0


def carry_out_on_nodes(nodes: Nodes, line: str) -> bool:
    """A command that sets a parameter, or is about nodes and edges; False: it is another.

    Raises:
        Refused: EINVAL.
    """
    found = find(line)
    if found is None or found[0] not in SETTERS:
        return False
    word, argument = found
    match word:
        case "markov-numnodes":
            nodes.set_count(atoi(argument))
        case "markov-name":
            _set_name(nodes, argument)
        case "markov-time":
            _set_time(nodes, argument)
        case "setedge":
            _set_edge(nodes, argument)
        case _:
            nodes.set_value(VALUES[word], argument)
    return True


def _set_name(nodes: Nodes, argument: str) -> None:
    """`N,NAME` or `N NAME`; without a number N is 0, and all is the name."""
    found = re.match(r"([+-]?[0-9]{1,9})[ \t]*,?", argument)
    number = nodes.check(int(found[1]) if found else 0)
    name = argument[found.end() :] if found else argument
    nodes.nodes[number].name = name[:NAME_CHARACTERS]


def _set_time(nodes: Nodes, argument: str) -> None:
    found = _FLOAT.match(argument)
    if found is None:
        return  # accepted without effect, as by the original
    period_ms = float(found[1])
    if not 0 < period_ms <= 1e12:
        raise Refused(errno.EINVAL, f"{argument}: more than 0 ms was expected")
    nodes.period_ms = max(SHORTEST_MS, period_ms)


def _set_edge(nodes: Nodes, argument: str) -> None:
    """`N,N,W`. What is missing is not set."""
    words = argument.split(",")
    origin = atoi(words[0])
    destination = atoi(words[1]) if len(words) > 1 else 0
    weight = _FLOAT.match(words[2]) if len(words) > 2 else None
    nodes.check(origin)
    nodes.check(destination)
    if weight is not None:
        nodes.set_edge(origin, destination, max(-1e6, min(1e6, float(weight[1]))))


def show_edges(nodes: Nodes, number: int) -> Iterator[str]:
    """The edges of a node that are not 0."""
    for destination, weight in enumerate(nodes.edges[number]):
        if weight:
            names = f'"{nodes.nodes[number].name}"->"{nodes.nodes[destination].name}"'
            yield f"Edge {number} ->{destination}  {names} weigth {weight:g}"  # spelled as by the original
