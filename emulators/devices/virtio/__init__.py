"""Virtio devices over PCI."""
