"""Encore's online service: which incentive, through which channel, for this customer, now."""

__version__ = "0.1.0"
