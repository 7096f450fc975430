"""Embedded emulators."""
