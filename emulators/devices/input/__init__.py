"""Keyboard and mouse controllers."""
