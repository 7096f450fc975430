"""What goes wrong outside of us while an image is fetched or opened."""

from vde.errors import VdeError


class ImageError(VdeError):
    """The network, the archive, the disk or the cache did not give what an image needs.

    The text says what is missing and what to do about it; the command line shows it and exits with status 1.
    """


class Damaged(ImageError):
    """A cached image is not what its manifest says."""
