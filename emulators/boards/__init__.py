"""Boards: one machine a file of addresses, lines, options and loader. `emulators.board` says what is in such a file."""
