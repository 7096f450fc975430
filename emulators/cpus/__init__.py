"""Engines: one instruction set a folder."""
