"""How good a ranking by predicted uplift is, measured on randomised customers it was not trained on."""

from __future__ import annotations

from experiments.uplift_metrics.auuc import auuc
from experiments.uplift_metrics.calibration import Bin, Calibration, calibration, calibration_slope
from experiments.uplift_metrics.clusters import clustered_mean
from experiments.uplift_metrics.cost_curve import BudgetCurve, ShareCurve, budget_curve, share_curve
from experiments.uplift_metrics.curve import Curve
from experiments.uplift_metrics.deciles import Part, by_decile
from experiments.uplift_metrics.difference import Difference
from experiments.uplift_metrics.four_groups import Bounds, Kind, Segment, Thresholds, four_groups
from experiments.uplift_metrics.policy_value import policy_value
from experiments.uplift_metrics.qini import qini
from experiments.uplift_metrics.scores import robust_scores
from experiments.uplift_metrics.trial import Trial
from experiments.uplift_metrics.uplift_at_k import uplift_at_k

__all__ = [
    "Bin",
    "Bounds",
    "BudgetCurve",
    "Calibration",
    "Curve",
    "Difference",
    "Kind",
    "Part",
    "Segment",
    "ShareCurve",
    "Thresholds",
    "Trial",
    "auuc",
    "budget_curve",
    "by_decile",
    "calibration",
    "calibration_slope",
    "clustered_mean",
    "four_groups",
    "policy_value",
    "qini",
    "robust_scores",
    "share_curve",
    "uplift_at_k",
]
