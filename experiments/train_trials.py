"""A log of several actions as trials of one treatment against control, for the metrics of uplift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from decision.records import CONTROL, BoolArray, FloatArray, action_named
from experiments.dataset import Dataset
from experiments.uplift_metrics.trial import Trial

# Below so many treated, or control, decisions a metric of one treatment says nothing.
FEWEST = 30
FEWEST_OUTCOMES = 5


def offer_trials(data: Dataset, odds: FloatArray) -> dict[str, Trial]:
    """Return, by offer, the decisions that gave it through any channel or nothing, with the uplift predicted.

    The predicted uplift in repurchase is averaged over the channels as the log gave them.
    """
    offers = sorted({action_named(a).offer for a in data.catalogue if a != CONTROL})
    groups = {o: np.array([a != CONTROL and action_named(a).offer == o for a in data.catalogue]) for o in offers}
    return _trials(data, odds, groups)[0]


def treatment_trials(data: Dataset, odds: FloatArray) -> tuple[dict[str, Trial], dict[str, str]]:
    """Return a trial of each treatment against control, and for those with too little data why there is none."""
    return _trials(data, odds, {a: np.array(data.catalogue) == a for a in data.catalogue if a != CONTROL})


def _trials(
    data: Dataset, odds: FloatArray, groups: Mapping[str, BoolArray]
) -> tuple[dict[str, Trial], dict[str, str]]:
    logged, customers = _logged(data), data.customers
    trials, absent = {}, {}
    for name, members in groups.items():
        share = logged[:, members].sum(axis=1)
        treated = members[data.action]
        keep = (treated | (data.action == 0)) & (share > 0) & (logged[:, 0] > 0)
        sizes = int(treated[keep].sum()), int((~treated[keep]).sum())
        bought = data.repurchased[keep]
        outcomes = int(min(bought.sum(), (1.0 - bought).sum()))
        if min(sizes) < FEWEST or outcomes < FEWEST_OUTCOMES:
            absent[name] = (
                f"needs {FEWEST} treated and control decisions, and {FEWEST_OUTCOMES} with and without a repurchase; "
                f"found {sizes[0]}, {sizes[1]} and {outcomes}"
            )
            continue
        uplift = (odds[:, members] * logged[:, members]).sum(axis=1) / np.where(share > 0, share, 1.0) - odds[:, 0]
        trials[name] = Trial(
            outcome=bought,
            treated=treated[keep],
            cate=uplift[keep],
            treatment_probability=(share / (share + logged[:, 0]).clip(1e-12))[keep],
            customer=customers[keep],
        )
    return trials, absent


def _logged(data: Dataset) -> FloatArray:
    """Return the probabilities with which each action was logged, [n, K]."""
    logged = np.zeros(data.allowed.shape)
    place = {action_id: k for k, action_id in enumerate(data.catalogue)}
    for i, decision in enumerate(data.decisions):
        for action_id, chance in zip(decision.allowed, decision.distribution, strict=True):
            if action_id in place:
                logged[i, place[action_id]] = chance
    return logged
