"""Inverse propensity scoring with weights cut off at a largest one."""

from __future__ import annotations

from experiments.off_policy.ips import Ips
from experiments.off_policy.shrinkage import clip
from experiments.off_policy.slope import LARGEST_WEIGHTS, Slope


def clipped_ips(largest: float) -> Ips:
    """Mean of min(w, largest) * reward (Ionides 2008): too low where rewards are positive and weights cut off."""
    return Ips(clip(largest))


CLIPPED_IPS = Slope({largest: clipped_ips(largest) for largest in LARGEST_WEIGHTS})
