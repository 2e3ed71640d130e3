"""Scorers of video synthesisers: plays, and what systems with transition probabilities can do besides."""
