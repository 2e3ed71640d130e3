"""A plug-in of Words & Pixels: one system, one scorer, one metric."""
