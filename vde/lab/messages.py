"""What goes over a lab's control socket: one JSON object a line, in both directions.

A connection carries one request. The supervisor answers with events, the last of which is `end`. After a request
`console`, the answer's first line says that it worked, and then the connection is the serial line, raw.

Only processes of the same user can connect (checked by SO_PEERCRED, besides the directory's mode). What they send is
held against the models below; a line has at most `MOST_OCTETS`. Closing the sending side during `up` means: take back.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from vde.errors import WireError
from vde.lab.resolved import Lab

MOST_OCTETS = 4 << 20  # chosen: a lab of 256 nodes and 1024 links takes a quarter of it


class Message(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageFiles(Message):
    """An image as `vde up` found it; the hashes tell whether a running guest has another one."""

    kernel: Path
    initrd: Path
    kernel_version: str
    cmdline: str
    kernel_sha256: str
    initrd_sha256: str


class Up(Message):
    """Make the lab what it is here.

    Attributes:
        lab: its ports not allotted.
        images: the files of every image that it names.
        recreate: restart what is the same, too.
        check: run the checks afterwards.
        hold: take the lab down when this connection closes.
        timeout_ns: how long the nodes may take to be ready.
        versions: of the programs that take part, for the record.
    """

    op: Literal["up"] = "up"
    lab: Lab
    images: dict[str, ImageFiles] = {}
    recreate: bool = False
    check: bool = True
    hold: bool = False
    timeout_ns: int = Field(ge=0)
    versions: dict[str, str] = {}


class Down(Message):
    """Stop everything, and the supervisor itself."""

    op: Literal["down"] = "down"


class Status(Message):
    """Tell what runs."""

    op: Literal["status"] = "status"


class Plan(Message):
    """Tell what `up` would do."""

    op: Literal["plan"] = "plan"
    lab: Lab
    images: dict[str, ImageFiles] = {}
    recreate: bool = False


class Check(Message):
    """Run the lab's checks, or some of them."""

    op: Literal["check"] = "check"
    names: list[str] = []


class Console(Message):
    """Become a viewer of a guest's serial line."""

    op: Literal["console"] = "console"
    node: str


class Follow(Message):
    """Get what the nodes write from now on."""

    op: Literal["follow"] = "follow"
    nodes: list[str] = []


class Listen(Message):
    """Tell where the frames of some links can be heard: of those that are selected, or of a capture node's."""

    op: Literal["listen"] = "listen"
    selected: list[str] = []
    node: str = ""


class Listening(Message):
    """A place where frames can be heard.

    Attributes:
        name: of the interface in a capture: `slow@web:eth0`.
        ways, sends_in, port, wire_end: as `vde.lab.resolved.CapturePoint` has them.
        directory, management: of the switch.
        numports: how many of its ports are the lab's.
        wire: its control socket, if there is one at this end.
    """

    name: str
    ways: Literal["out", "both"]
    sends_in: bool
    directory: Path
    management: Path
    port: int
    numports: int
    wire: Path | None = None
    wire_end: int = Field(default=0, ge=0, le=1)


Request = Annotated[Up | Down | Status | Plan | Check | Console | Follow | Listen, Field(discriminator="op")]
_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)


Outcome = Literal["", "done", "failed", "check_failed", "not_running", "down"]


class Event(Message):
    """What the supervisor tells. `kind` says which of the other keys are there.

    | kind    | keys                                                                    |
    |---------|-------------------------------------------------------------------------|
    | plan    | steps: action, node, reason                                             |
    | node    | node, state, text                                                       |
    | check   | node, name, passed, text, lines                                         |
    | status  | status: what `vde ps --json` shows                                      |
    | output  | node, text                                                              |
    | console | (nothing: the serial line follows)                                      |
    | listen  | points                                                                  |
    | end     | outcome: done, failed, check_failed, not_running, down; text            |
    """

    kind: Literal["plan", "node", "check", "status", "output", "console", "listen", "end"]
    node: str = ""
    name: str = ""
    state: str = ""
    text: str = ""
    passed: bool = False
    lines: list[str] = []
    steps: list[dict[str, str]] = []
    points: list[Listening] = []
    status: dict[str, Any] = {}
    outcome: Outcome = ""


def parse_request(line: bytes) -> Request:
    """A request as received.

    Raises:
        WireError: it is none.
    """
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        raise WireError(f"not a request: {_first(error)}") from None


def parse_event(line: bytes) -> Event:
    """An event as received.

    Raises:
        WireError: it is none.
    """
    try:
        return Event.model_validate_json(line)
    except ValidationError as error:
        raise WireError(f"not an event: {_first(error)}") from None


def emit(message: Message) -> bytes:
    """A message as sent."""
    return message.model_dump_json().encode() + b"\n"


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
