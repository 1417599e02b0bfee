"""Encore in the uplift benchmark: what it learns from a trial, through its own learner and components."""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.records import CONTROL_ACTION, Action
from experiments.bench.protocol import FloatArray, IntArray, Terms
from experiments.components import fit_components
from experiments.dataset import Dataset
from experiments.learners import LEARNERS
from experiments.learners.base import Rows


def learned_values(
    x: FloatArray,
    action: IntArray,
    bought: FloatArray,
    order: FloatArray,
    x_new: FloatArray,
    *,
    terms: Terms,
    seed: int,
) -> FloatArray:
    """Return the value [n_new, K] of every action; see `experiments.bench.protocol.UpliftLearner`."""
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    x, x_new = (x - centre) / scale, (x_new - centre) / scale
    actions = (CONTROL_ACTION, *(Action(f"offer{k}", "message") for k in range(1, terms.actions)))
    features = ActionFeatures(actions, x.shape[1])
    data = Dataset(
        catalogue=tuple(a.action_id for a in actions),
        decisions=(),
        action=action,
        allowed=np.ones((len(x), terms.actions), dtype=bool),
        propensity=np.full(len(x), 1.0 / terms.actions),
        repurchased=bought,
        visited=bought,
        redeemed=bought * (action > 0),
        revenue=order,
        value=terms.profit(action, bought, order),
        margin=terms.profit(action, bought, order),
    )
    odds = LEARNERS["pooled_sparse"].fit(Rows(x, action, bought, features), seed=seed).predict(x_new, in_sample=False)
    basket = fit_components(data, x, features, seed=seed).predict(x_new, odds).basket
    return terms.value(odds, basket)
