"""Firmware of our own, for boards whose makers' is not installed: source, and the words that it makes."""
