"""What each family samples: prompts, classes, cuts and seeds in, sample sets out. Nothing here judges."""
