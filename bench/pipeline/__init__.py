"""The plan of all stages, code fingerprints, checks of a finished run."""
