"""Off-policy evaluation: what would another policy have earned on this log?

An estimator is one file and one line in `ESTIMATORS`; the contract suite takes it up by itself.
"""

from __future__ import annotations

from experiments.off_policy.bootstrap import bootstrap
from experiments.off_policy.clipped_dr import CLIPPED_DR
from experiments.off_policy.clipped_ips import CLIPPED_IPS
from experiments.off_policy.contrast import Contrast, contrast
from experiments.off_policy.controlled_dr import ControlledDr
from experiments.off_policy.controlled_ips import ControlledIps
from experiments.off_policy.dm import Dm
from experiments.off_policy.dr import Dr
from experiments.off_policy.dros import DROS
from experiments.off_policy.estimate import Estimate
from experiments.off_policy.estimator import Estimator
from experiments.off_policy.gate import Evidence, GateRules, doubts, judge, judge_stream
from experiments.off_policy.guardrail import Burden, GuardrailFinding, GuardrailMetric, Worse
from experiments.off_policy.intervals import INTERVALS
from experiments.off_policy.ips import Ips
from experiments.off_policy.overlap import Overlap, overlap
from experiments.off_policy.reward_model import cross_fit, folds_by_customer, ridge
from experiments.off_policy.rounds import Rounds
from experiments.off_policy.slope import Slope
from experiments.off_policy.sndr import Sndr
from experiments.off_policy.snips import Snips
from experiments.off_policy.subgaussian_dr import SUBGAUSSIAN_DR
from experiments.off_policy.subgaussian_ips import SUBGAUSSIAN_IPS
from experiments.off_policy.switch_dr import SWITCH_DR
from experiments.off_policy.verdict import Reason, Verdict

ESTIMATORS: dict[str, Estimator] = {
    "dm": Dm(),
    "ips": Ips(),
    "snips": Snips(),
    "dr": Dr(),
    "sndr": Sndr(),
    "clipped_ips": CLIPPED_IPS,
    "clipped_dr": CLIPPED_DR,
    "switch_dr": SWITCH_DR,
    "dros": DROS,
    "subgaussian_ips": SUBGAUSSIAN_IPS,
    "subgaussian_dr": SUBGAUSSIAN_DR,
    "controlled_ips": ControlledIps(),
    "controlled_dr": ControlledDr(),
}

__all__ = [
    "ESTIMATORS",
    "INTERVALS",
    "Burden",
    "Contrast",
    "ControlledDr",
    "ControlledIps",
    "Dm",
    "Dr",
    "Estimate",
    "Estimator",
    "Evidence",
    "GateRules",
    "GuardrailFinding",
    "GuardrailMetric",
    "Ips",
    "Overlap",
    "Reason",
    "Rounds",
    "Slope",
    "Sndr",
    "Snips",
    "Verdict",
    "Worse",
    "bootstrap",
    "contrast",
    "cross_fit",
    "doubts",
    "folds_by_customer",
    "judge",
    "judge_stream",
    "overlap",
    "ridge",
]
