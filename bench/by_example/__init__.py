"""Synthesis from exemplars."""
