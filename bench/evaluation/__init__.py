"""What each family samples and how it is scored: samples in, records out."""
