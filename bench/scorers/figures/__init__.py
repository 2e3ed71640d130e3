"""Scorers that measure nothing: galleries, curves and figures for the report."""
