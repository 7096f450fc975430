"""GDB's remote serial protocol, served by any board: packets, what they ask, and the server."""
