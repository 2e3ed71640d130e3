"""Records, extras, the leaderboard; :func:`frame` gives every row as a pandas DataFrame."""

from bench.results.frames import frame

__all__ = ["frame"]
