"""One folder for each family: its declaration, its sampling and one file for each system."""
