"""Displays: VGA, its memory, its linear frame buffer, and what can be seen on it."""
