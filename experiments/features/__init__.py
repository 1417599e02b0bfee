"""Behaviour of customers as of a moment: each feature defined once, for everybody, for some, and for any past."""
