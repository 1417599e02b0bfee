"""A/B analysis: of Encore itself, and of any table of units."""
