"""`vde image list|pull|build|path|rm`: the guest images and their cache.

The store is imported when it is used: it is slow to import, and every `vde …` loads this module.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vde.errors import ConfigError
from vde.image.recipe import RECIPES

if TYPE_CHECKING:
    from vde.image.progress import Step


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `image` and its own commands."""
    parser = subparsers.add_parser(
        "image",
        help="guest images: kernels and a small root file system",
        description="Guest images are made on this machine out of Debian packages and kept in "
        "$XDG_CACHE_HOME/vde/images (~/.cache/vde/images).",
    )
    commands = parser.add_subparsers(dest="image_command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="show the known images and what is cached")
    listing.add_argument("--json", action="store_true", help="machine-readable")

    pulling = commands.add_parser("pull", help="fetch, verify and assemble images; nothing to do if they are cached")
    pulling.add_argument("names", nargs="*", metavar="NAME", help=f"an image: {', '.join(sorted(RECIPES))}")
    pulling.add_argument("--all", action="store_true", help="all known images; one that fails does not stop the others")
    pulling.add_argument("--refresh", action="store_true", help="look for newer packages even if the image is cached")
    pulling.add_argument("--sources", type=Path, metavar="FILE", help="apt sources to use in place of the machine's")

    building = commands.add_parser("build", help="the same for images that are compiled here; takes minutes")
    built = sorted(name for name, recipe in RECIPES.items() if recipe.built)
    building.add_argument("names", nargs="+", choices=built, metavar="NAME", help=f"an image: {', '.join(built)}")
    building.add_argument("--refresh", action="store_true", help="even if the image is cached")
    building.add_argument("--sources", type=Path, metavar="FILE", help="apt sources to use in place of the machine's")

    showing = commands.add_parser("path", help="print where a cached image is")
    showing.add_argument("name", metavar="NAME", help="an image")
    which = showing.add_mutually_exclusive_group()
    which.add_argument("--kernel", action="store_true", help="the kernel's file")
    which.add_argument("--initrd", action="store_true", help="the initial root file system's file")

    removing = commands.add_parser("rm", help="remove images from the cache")
    removing.add_argument("names", nargs="*", metavar="NAME", help="an image")
    removing.add_argument("--all", action="store_true", help="all of them")


def run(args: argparse.Namespace) -> int:
    """Run a parsed command.

    Returns:
        The exit status: 0, or 130 if the user interrupted a pull.

    Raises:
        ConfigError: an unknown image, unusable apt sources.
        ImageError: an image could not be made, or is not there.
    """
    match args.image_command:
        case "list":
            return _list(args.json)
        case "pull":
            return _pull(_names(args), args.refresh, args.sources, every=args.all)
        case "build":
            return _pull(args.names, args.refresh, args.sources)
        case "path":
            return _path(args.name, args.kernel, args.initrd)
        case _:
            return _remove(_names(args))


def _names(args: argparse.Namespace) -> list[str]:
    if args.all == bool(args.names):
        raise ConfigError(f"give image names or --all; known images: {', '.join(sorted(RECIPES))}")
    return sorted(RECIPES) if args.all else list(dict.fromkeys(args.names))


def _list(as_json: bool) -> int:
    from vde.image import store

    entries = store.list_images()
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "name": entry.recipe.name,
                        "architecture": entry.recipe.architecture,
                        "state": entry.state,
                        "kernel_version": entry.kernel_version,
                        "octets": entry.octets,
                        "summary": entry.recipe.summary,
                    }
                    for entry in entries
                ],
                indent=2,
            )
        )
        return 0
    rows = [("NAME", "ARCHITECTURE", "STATE", "KERNEL", "SIZE", "")]
    for entry in entries:
        size = f"{entry.octets / 1e6:.1f} MB" if entry.octets else "-"
        recipe = entry.recipe
        rows.append((recipe.name, recipe.architecture, entry.state, entry.kernel_version or "-", size, recipe.summary))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip())
    return 0


def _pull(names: list[str], refresh: bool, sources_file: Path | None, *, every: bool = False) -> int:
    """One after the other. If it is `every` image, one that cannot be had does not keep the others from being made."""
    from vde.image import store
    from vde.image.errors import ImageError

    status = 0
    for name in names:
        display = Display()
        try:
            image = store.pull(name, display.show, refresh=refresh, sources_file=sources_file)
        except KeyboardInterrupt:
            display.clear()
            print(f"vde image: interrupted; 'vde image pull {name}' takes it up again", file=sys.stderr)
            return 130
        except (ConfigError, ImageError) as error:
            if not every:
                raise
            display.clear()
            print(f"vde image: {error}", file=sys.stderr)
            status = 1
            continue
        finally:
            display.clear()
        size = (image.kernel.stat().st_size + image.initrd.stat().st_size) / 1e6
        print(f"{name}: Linux {image.kernel_version} for {image.architecture}, {size:.1f} MB, ready", file=sys.stderr)
    return status


def _path(name: str, kernel: bool, initrd: bool) -> int:
    from vde.image import store

    image = store.open_image(name)
    print(image.kernel if kernel else image.initrd if initrd else image.kernel.parent)
    return 0


def _remove(names: list[str]) -> int:
    from vde.image import store

    for name in names:
        done = "removed" if store.remove(name) else "was not cached"
        print(f"{name}: {done}", file=sys.stderr)
    return 0


class Display:
    """Progress on standard error: one line that changes on a terminal, otherwise one line a step."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self._text = ""

    def show(self, step: "Step") -> None:
        """Show a step; of steps that differ in their fraction only, a log gets the first."""
        if step.note:
            self.clear()
            print(f"{step.image}: {step.text}", file=sys.stderr)
        elif self._terminal:
            percent = "" if step.fraction is None else f" {step.fraction:4.0%}"
            width = shutil.get_terminal_size().columns - 1
            line = f"{step.image}: {step.text}"[: width - len(percent)] + percent
            if line != self._shown:
                print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
                self._shown = line
        elif step.text != self._text:
            print(f"{step.image}: {step.text}", file=sys.stderr, flush=True)
        self._text = step.text

    def clear(self) -> None:
        """Take the changing line off the terminal."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = ""
