"""Scorers of analogy solvers."""
