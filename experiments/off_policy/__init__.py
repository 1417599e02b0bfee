"""Off-policy evaluation: what would another policy have earned on this log?

An estimator is one file and one line in `ESTIMATORS`; the contract suite takes it up by itself.
"""

from __future__ import annotations

from experiments.off_policy.contrast import Contrast, contrast
from experiments.off_policy.dm import Dm
from experiments.off_policy.dr import Dr
from experiments.off_policy.estimate import Estimate
from experiments.off_policy.estimator import Estimator
from experiments.off_policy.gate import GateRules, judge
from experiments.off_policy.ips import Ips
from experiments.off_policy.overlap import Overlap, overlap
from experiments.off_policy.reward_model import cross_fit, folds_by_customer, ridge
from experiments.off_policy.rounds import Rounds
from experiments.off_policy.sndr import Sndr
from experiments.off_policy.snips import Snips
from experiments.off_policy.verdict import Reason, Verdict

ESTIMATORS: dict[str, Estimator] = {
    "dm": Dm(),
    "ips": Ips(),
    "snips": Snips(),
    "dr": Dr(),
    "sndr": Sndr(),
}

__all__ = [
    "ESTIMATORS",
    "Contrast",
    "Dm",
    "Dr",
    "Estimate",
    "Estimator",
    "GateRules",
    "Ips",
    "Overlap",
    "Reason",
    "Rounds",
    "Sndr",
    "Snips",
    "Verdict",
    "contrast",
    "cross_fit",
    "folds_by_customer",
    "judge",
    "overlap",
    "ridge",
]
