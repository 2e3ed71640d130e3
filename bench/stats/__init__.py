"""Intervals, ties, paired comparisons."""
