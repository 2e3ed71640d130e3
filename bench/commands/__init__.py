"""The commands behind bench.cli, each imported only when it is called."""
