"""Plugs: one file per VNL scheme, found by name. Nothing else changes when one is added."""
