"""How good a ranking by predicted uplift is, measured on randomised customers it was not trained on."""

from __future__ import annotations

from experiments.uplift_metrics.auuc import auuc
from experiments.uplift_metrics.calibration import Bin, Calibration, calibration
from experiments.uplift_metrics.curve import Curve
from experiments.uplift_metrics.difference import Difference
from experiments.uplift_metrics.policy_value import policy_value
from experiments.uplift_metrics.qini import qini
from experiments.uplift_metrics.trial import Trial
from experiments.uplift_metrics.uplift_at_k import uplift_at_k

__all__ = [
    "Bin",
    "Calibration",
    "Curve",
    "Difference",
    "Trial",
    "auuc",
    "calibration",
    "policy_value",
    "qini",
    "uplift_at_k",
]
