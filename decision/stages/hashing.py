"""Uniform numbers from text: the same text always gives the same number, on every machine."""

from __future__ import annotations

import hashlib


def uniform(*parts: str) -> float:
    """Return a number in [0, 1) from the first 53 bits of SHA-256 over the parts, joined by a unit separator."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53
