"""Doubly robust where weights are moderate, the reward model alone where they are large."""

from __future__ import annotations

from experiments.off_policy.dr import Dr
from experiments.off_policy.shrinkage import switch
from experiments.off_policy.slope import LARGEST_WEIGHTS, Slope


def switch_dr(largest: float) -> Dr:
    """Doubly robust with w where w <= largest, else 0 (Wang et al. 2017)."""
    return Dr(switch(largest))


SWITCH_DR = Slope({largest: switch_dr(largest) for largest in LARGEST_WEIGHTS})
