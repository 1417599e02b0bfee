"""Peers, each behind one small function. Nothing here imports Encore's rooms: most of it runs in other environments."""
