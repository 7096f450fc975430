"""How many files this process may have open: two for every client."""

import resource


def raise_limit() -> None:
    """Raise the soft limit to the hard one (getrlimit(2)); what a thousand clients need, the usual 1,024 does not."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
