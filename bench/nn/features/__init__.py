"""Feature networks with packaged weights."""
