"""Example labs, each started by a test."""
