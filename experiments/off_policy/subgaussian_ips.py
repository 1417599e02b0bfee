"""Inverse propensity scoring with weights whose tail is sub-Gaussian."""

from __future__ import annotations

from experiments.off_policy.ips import Ips
from experiments.off_policy.shrinkage import subgaussian
from experiments.off_policy.slope import STRENGTHS, Slope


def subgaussian_ips(strength: float) -> Ips:
    """Mean of w / (1 - strength + strength * w) * reward (Metelli et al. 2021, power mean of order -1)."""
    return Ips(subgaussian(strength))


SUBGAUSSIAN_IPS = Slope({strength: subgaussian_ips(strength) for strength in STRENGTHS})
