"""What apt says, and what we say about it."""

import pytest

from vde.image.advice import explain
from vde.image.apt import Record
from vde.image.errors import ImageError
from vde.image.packages import kernel_dependency


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("W: Failed to fetch http://archive.example/x  Temporary failure resolving 'archive.example'", "no connection"),
        ("W: Failed to fetch http://a/x  Could not connect to a:80 (1.2.3.4), connection timed out", "no connection"),
        ("E: Failed to fetch http://a/x  404  Not Found [IP: 1.2.3.4 80]", "not got it under this address"),
        ("E: Failed to fetch http://a/x  Hash Sum mismatch", "not what the signed index names"),
        ("E: Failed to fetch http://a/x  File has unexpected size (1 != 2). Mirror sync in progress?", "try later"),
        ("W: GPG error: http://a/x InRelease: couldn't be verified: NO_PUBKEY 6ED0E7B82643E131", "archive-keyring"),
        ("E: The repository 'http://a bookworm Release' is not signed.", "an unsigned archive is never used"),
        (
            "E: Failed to fetch http://a/dists/sid/InRelease  400  Bad Request [IP: 1.2.3.4 80]",
            "no such archive or suite",
        ),
        ("E: The repository 'http://a sid Release' does not have a Release file.", "no such archive or suite"),
        ("E: Write error - write (28: No space left on device)", "the disk is full"),
        ("E: Release file for http://a/x is expired (invalid since 3d)", "clock is wrong"),
    ],
)
def test_complaints_and_what_to_do(line: str, advice: str) -> None:
    text = explain("it could not be had", [line])
    first, second = text.splitlines()
    assert first.startswith("it could not be had: ")
    assert advice in first
    assert second == f"  apt: {line}"


def test_a_complaint_that_nobody_knows_is_shown_all_the_same() -> None:
    assert explain("it failed", ["E: something new"]) == "it failed\n  apt: E: something new"


def metapackage(depends: str) -> Record:
    return Record("linux-image-686", "6.1.176-1", "i386", 1, "0" * 64, depends)


@pytest.mark.parametrize(
    ("depends", "found"),
    [
        ("linux-image-6.1.0-50-686 (= 6.1.176-1)", ("linux-image-6.1.0-50-686", "6.1.176-1")),
        ("kmod, linux-image-6.1.0-50-4kc-malta", ("linux-image-6.1.0-50-4kc-malta", None)),
        ("linux-base (>= 4.3~), linux-image-7.0+unsigned(=7:1) | x", ("linux-image-7.0+unsigned", "7:1")),
    ],
)
def test_the_kernel_behind_a_metapackage(depends: str, found: tuple[str, str | None]) -> None:
    assert kernel_dependency(metapackage(depends)) == found


@pytest.mark.parametrize("depends", ["", "kmod", "linux-image-amd64", "linux-image-6.1 (>= 2)"])
def test_a_metapackage_of_nothing(depends: str) -> None:
    with pytest.raises(ImageError, match="depends on no kernel"):
        kernel_dependency(metapackage(depends))
