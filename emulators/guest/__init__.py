"""The adapter around a machine: a thread that runs it, and trio tasks that carry its octets, frames and sectors."""
