"""wirefilter: its parameters, console and rules over the stages of `vde.wire`. Read `nodes.py` first."""
