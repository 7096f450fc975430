"""Loaders: what puts kernels, ROMs and initial RAM disks into a machine."""
