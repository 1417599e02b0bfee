"""Doubly robust with weights cut off at a largest one."""

from __future__ import annotations

from experiments.off_policy.dr import Dr
from experiments.off_policy.shrinkage import clip
from experiments.off_policy.slope import LARGEST_WEIGHTS, Slope


def clipped_dr(largest: float) -> Dr:
    """Doubly robust with min(w, largest), the pessimistic shrinkage of Su et al. (2020)."""
    return Dr(clip(largest))


CLIPPED_DR = Slope({largest: clipped_dr(largest) for largest in LARGEST_WEIGHTS})
