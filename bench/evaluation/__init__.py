"""How the samples of each family are scored: samples in, records out."""
