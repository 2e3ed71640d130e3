"""Errors, files, seeds, progress, processes, hardware: imports nothing else of bench."""
