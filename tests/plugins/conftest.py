"""The plug-in's own tests run where it is installed (test_plugin.py), not here."""

collect_ignore = ["letter-cache"]
