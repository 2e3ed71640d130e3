"""Video textures."""
