"""Pictures from captions."""
