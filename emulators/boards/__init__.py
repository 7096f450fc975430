"""Boards: one machine a file of addresses, lines, options and loader."""
