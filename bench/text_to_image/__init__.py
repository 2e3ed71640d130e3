"""Generators of pictures from captions."""
