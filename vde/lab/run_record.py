"""`resolved.yml` and `run.json`: what a run consists of, so that it can be told and repeated."""

import io
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from vde.lab.messages import ImageFiles
from vde.lab.places import Home, NoPlace
from vde.lab.resolved import Guest, Lab


def resolved_yaml(lab: Lab) -> str:
    """The lab with every default filled in, as YAML: empty values are left out."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 120
    text = io.StringIO()
    yaml.dump(_without_empty(lab.model_dump(mode="json")), text)
    return text.getvalue()


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        items = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in (None, {}, [], "", False)}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def run_facts(lab: Lab, images: Mapping[str, ImageFiles], versions: Mapping[str, str]) -> dict[str, Any]:
    """What one would have to know to repeat the run."""
    used = {node.image for node in lab.nodes.values() if isinstance(node, Guest) and node.image}
    return {
        "lab": lab.name,
        "seed": lab.seed,
        "versions": {**versions, "python": platform.python_version(), "linux": platform.release()},
        "images": {
            name: {
                "kernel_version": image.kernel_version,
                "kernel_sha256": image.kernel_sha256,
                "initrd_sha256": image.initrd_sha256,
            }
            for name, image in sorted(images.items())
            if name in used
        },
    }


def write(home: Home, lab: Lab, images: Mapping[str, ImageFiles], versions: Mapping[str, str]) -> None:
    """Write both files.

    Raises:
        NoPlace: the disk is full, or the directory is not ours.
    """
    try:
        _replace(home.state / "resolved.yml", resolved_yaml(lab))
        _replace(home.state / "run.json", json.dumps(run_facts(lab, images, versions), indent=2) + "\n")
    except OSError as error:
        raise NoPlace(f"{home.state}: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    os.replace(new, path)
