"""One page per use case, each read from top to bottom: decide, observe, sweep, learn, promote."""
