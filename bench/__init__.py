"""Words & Pixels: one reproducible benchmark for the history of generative models."""

__version__ = "0.1.0"
