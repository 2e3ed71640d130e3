"""params.yaml: its schema and its reader."""
