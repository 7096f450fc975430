"""Plugs: one file per VNL scheme."""
