"""What the lab room raises besides `vde.errors`."""

from vde.errors import VdeError


class NotRunning(VdeError):
    """The lab, or the node, that was asked for does not run."""


class LabFailed(VdeError):
    """The lab could not be brought to what the file asks for; the text says which node, and why."""
