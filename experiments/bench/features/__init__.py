"""Everybody's features, measured beside the same table in pandas."""
