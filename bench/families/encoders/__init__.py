"""Pictures and captions to vectors and classes."""
