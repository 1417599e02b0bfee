"""Doubly robust with optimistic shrinkage."""

from __future__ import annotations

from experiments.off_policy.dr import Dr
from experiments.off_policy.shrinkage import optimistic
from experiments.off_policy.slope import LARGEST_WEIGHTS, Slope


def dros(strength: float) -> Dr:
    """Doubly robust with strength * w / (w^2 + strength) (Su et al. 2020); infinity leaves weights alone."""
    return Dr(optimistic(strength))


DROS = Slope({strength: dros(strength) for strength in LARGEST_WEIGHTS})
