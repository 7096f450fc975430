"""`vde screen NODE`: a guest's display on this terminal, once as text or picture, or its keyboard for a script."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vde.cli import status
from vde.cli.labs import find_running
from vde.errors import ConfigError

if TYPE_CHECKING:
    from emulators.devices.video.picture import Frame
    from emulators.guest.inputs import Key
    from emulators.guest.screen_source import Remote

DESCRIPTION = """\
  vde screen NODE                   show a guest's display, live, and type on its keyboard
  vde screen NODE --text            print what is on it
  vde screen NODE --png FILE        save it as a picture, in any mode
  vde screen NODE --type TEXT       type (US layout; \\n is Enter); --key ctrl-alt-delete: keys that are held together

NODE is a node of a running lab, or unix:PATH as given to vde guest BOARD --screen. Live, Ctrl-] begins a command:
q leaves (the guest goes on), d is Ctrl-Alt-Del, 1 … 9 and 0 are Alt-F1 … Alt-F10, ? shows them.
"""
MOST_TYPED = 1000


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "screen",
        help="a guest's display and keyboard (Ctrl-] q leaves)",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("node", metavar="NODE|unix:PATH")
    parser.add_argument("-l", "--lab", metavar="FILE|LAB", help="by default the only one")
    parser.add_argument("--text", action="store_true", help="print the text screen, and end")
    parser.add_argument("--png", type=Path, metavar="FILE", help="save a picture, and end")
    parser.add_argument("--type", default="", metavar="TEXT", help="type this first")
    parser.add_argument("--key", action="append", default=[], metavar="CHORD", help="then press this; may be repeated")


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        NotRunning: the lab, or the node.
        ConfigError: the node has no screen; a key that there is not.
        LinkClosed: the guest has ended meanwhile.
    """
    import trio

    return trio.run(_run, args, _path(args.node, args.lab), _typed(args.type, args.key))


def _path(node: str, lab: str | None) -> Path:
    if node.startswith("unix:"):
        return Path(node.removeprefix("unix:"))
    path = find_running(lab).screen(node)
    if not path.exists():
        raise ConfigError(f"node '{node}' has no screen, or does not run (vde ps says what runs)")
    return path


def _typed(text: str, chords: list[str]) -> "list[Key]":
    from emulators.devices.input.keys import US, chord, strokes
    from emulators.guest.inputs import Key

    text = text.replace("\\n", "\n").replace("\\t", "\t")
    if len(text) > MOST_TYPED:
        raise ConfigError(f"--type: {len(text)} characters; at most {MOST_TYPED} at once")
    wrong = [character for character in text if character not in US]
    if wrong:
        raise ConfigError(f"--type: {wrong[0]!r} is not on a US keyboard")
    keys = [Key(name, down) for character in text for name, down in strokes(US[character])]
    for words in chords:
        try:
            keys += [Key(name, down) for name, down in strokes(chord(words))]
        except ValueError as error:
            raise ConfigError(f"--key {words}: {error}") from None
    return keys


async def _run(args: argparse.Namespace, path: Path, keys: "list[Key]") -> int:
    from emulators.guest.screen_source import open_remote
    from emulators.guest.screen_viewer import Viewer

    async with open_remote(path) as source:
        if keys and await source.press(keys) < len(keys):
            raise ConfigError(f"{args.node}: the guest does not read its keyboard")
        if args.text:
            await _print(source)
        if args.png is not None:
            _save(args.png, await source.frame())
        if not (args.text or args.png or keys):
            await Viewer(source, args.node).run()
    return status.DONE


async def _print(source: "Remote") -> None:
    from emulators.devices.video.picture import TextScreen

    shown = await source.look()
    if not isinstance(shown, TextScreen):
        raise ConfigError(f"the screen shows {shown.width} × {shown.height} pixels, not text: --png FILE saves them")
    print("\n".join(shown.lines()).rstrip("\n"))


def _save(path: Path, frame: "Frame") -> None:
    from PIL import Image

    try:
        Image.frombytes("RGB", (frame.width, frame.height), frame.pixels).save(path, "PNG")
    except OSError as error:
        raise ConfigError(f"--png {path}: {error.strerror or error}") from None
