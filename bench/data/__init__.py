"""Fetching archives, reading members, splits, readers, the scene renderer."""
