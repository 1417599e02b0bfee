"""The area under the uplift curve."""

from __future__ import annotations

from experiments.off_policy.rounds import FloatArray
from experiments.uplift_metrics.curve import Curve, gain_curve
from experiments.uplift_metrics.ranking import Top
from experiments.uplift_metrics.trial import Trial


def auuc(trial: Trial, *, seed: int, replicates: int = 200, level: float = 0.95) -> Curve:
    """Cumulative gain (Gutierrez and Gerardy 2017): what treating the top share of customers brings.

    At the top share phi: phi * (mean outcome of treated - mean outcome of control in that share), in
    outcome units per customer of the whole population. `area` is the AUUC; random targeting reaches half
    the average uplift, and `above_random` is what the ranking adds to that. Other libraries divide
    otherwise: compare only within one definition.
    """
    return gain_curve(trial, _cumulative_gain, seed=seed, replicates=replicates, level=level)


def _cumulative_gain(top: Top) -> FloatArray:
    return top.fraction * top.uplift
