"""The parts of Apple's mac-io chips."""
