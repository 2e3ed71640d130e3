"""The tables: families, systems, metrics."""
