"""Words & Pixels: one reproducible benchmark for the history of generative models."""

import os

__version__ = "0.1.0"

# Idle OpenMP threads spin before they sleep; with a neighbour on the machine long spinning makes two threads ten times
# slower than one, and a short spin costs 2 % when alone. The library reads this once, so it stands before any torch.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
