"""Floppy disks: their formats, and the controller."""
