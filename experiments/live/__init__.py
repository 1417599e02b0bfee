"""Encore measured against itself, live: what it earns beyond its holdout and beyond business as usual."""
