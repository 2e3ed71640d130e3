"""One token after another: tokens, decoding, cached decoding."""
