"""What is measured: one scorer, or a few that belong together, in a file."""
