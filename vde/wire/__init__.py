"""Wires: what joins two plugs, and may impair what crosses it. Read `model.py` first, then `lane.py`."""
