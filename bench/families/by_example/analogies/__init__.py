"""Image analogies."""
