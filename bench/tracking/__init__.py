"""Files mirrored into MLflow."""
