"""What is written beside a cached image: which files it has, their hashes, and where they came from.

The manifest is the image's single point of truth: it is replaced in one step when all files are there, so that a reader
sees an old image or a new one, never half of one.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vde.image.errors import Damaged

FILE_NAME = "manifest.json"
_MANIFEST_OCTETS_MAX = 1 << 16

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:~_-]{0,127}$")]  # hence no path out of the directory
_Path = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:~_-]{0,127}(/[A-Za-z0-9][A-Za-z0-9.+:~_-]{0,127})?$")]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class StoredFile(_Model):
    """A file of an image; `file`: its path in the image's directory, at most one directory deep."""

    file: _Path
    octets: Annotated[int, Field(gt=0, lt=1 << 32)]
    sha256: _Sha256


class StoredPackage(_Model):
    """A package that an image was made of."""

    package: _Word
    version: _Word
    architecture: _Word
    sha256: _Sha256


class Manifest(_Model):
    """The content of manifest.json.

    Attributes:
        recipe: fingerprint of the recipe and program that made the image.
        archive_sha256: of the initrd's content before it was compressed, which is the same on every machine for the
            same packages.
        libraries: what the kernel of User-Mode Linux is started with, beside it in a directory of their own.
    """

    format: Literal[1]
    name: _Word
    architecture: _Word
    kernel_version: _Word
    recipe: _Sha256
    kernel: StoredFile
    initrd: StoredFile
    archive_sha256: _Sha256
    packages: Annotated[list[StoredPackage], Field(min_length=1, max_length=16)]
    libraries: Annotated[list[StoredFile], Field(max_length=16)] = []


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of an image's directory; None if there is none.

    Raises:
        Damaged: the text says how.
    """
    path = directory / FILE_NAME
    try:
        with path.open("rb") as file:
            octets = file.read(_MANIFEST_OCTETS_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}") from None
    if len(octets) > _MANIFEST_OCTETS_MAX:
        raise Damaged(f"{path} is larger than {_MANIFEST_OCTETS_MAX} octets")
    try:
        return Manifest.model_validate_json(octets)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Damaged(f"{path}: {place + ': ' if place else ''}{first['msg']}") from None
