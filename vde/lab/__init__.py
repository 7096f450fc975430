"""Labs: topology file → plan → running nodes."""
