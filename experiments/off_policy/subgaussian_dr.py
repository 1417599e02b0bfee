"""Doubly robust with weights whose tail is sub-Gaussian."""

from __future__ import annotations

from experiments.off_policy.dr import Dr
from experiments.off_policy.shrinkage import subgaussian
from experiments.off_policy.slope import STRENGTHS, Slope


def subgaussian_dr(strength: float) -> Dr:
    """Doubly robust with w / (1 - strength + strength * w) (Metelli et al. 2021)."""
    return Dr(subgaussian(strength))


SUBGAUSSIAN_DR = Slope({strength: subgaussian_dr(strength) for strength in STRENGTHS})
