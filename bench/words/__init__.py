"""Generators of text."""
