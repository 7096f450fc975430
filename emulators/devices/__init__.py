"""Devices: `devices/<family>/<chip>.py`, one chip a file."""
