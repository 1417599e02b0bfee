"""Plots and headline figures of a training run, all from out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from decision.errors import NotEnoughData
from decision.programme.model import Programme
from decision.records import FloatArray
from decision.serving import Champion
from experiments import plots
from experiments.dataset import Dataset
from experiments.feature_effects import feature_effects
from experiments.learners.base import Learner
from experiments.off_policy import Estimate
from experiments.selection import Candidate, greedy, policy_terms
from experiments.train_metrics import best_treatment, costs, segments_of
from experiments.train_trials import offer_trials
from experiments.tree_report import PolicyTree, policy_tree, scores_of
from experiments.uplift_metrics.calibration import Calibration, calibration
from experiments.uplift_metrics.clusters import clustered_mean
from experiments.uplift_metrics.cost_curve import budget_curve, share_curve
from experiments.uplift_metrics.curve import Curve
from experiments.uplift_metrics.deciles import by_decile
from experiments.uplift_metrics.qini import qini
from experiments.who_gets_what import who_gets_what


@dataclass(frozen=True, slots=True)
class Report:
    """What a marketer gets to see of a challenger: plots by name, and the policy tree or why there is none."""

    figures: Mapping[str, Any]
    tree: PolicyTree | None
    no_tree_because: str = ""


def candidate_metrics(candidate: Candidate, customers: np.ndarray | None = None) -> dict[str, float]:
    """Return the policy's value per decision with its 95 % interval by customer, in currency units."""
    found = clustered_mean(candidate.terms, customers)
    return {
        "policy_value": found.value,
        "policy_value_se": found.standard_error,
        "policy_value_low": found.low,
        "policy_value_high": found.high,
    }


def report(
    data: Dataset,
    chosen: Candidate,
    programme: Programme,
    served: Champion,
    learners: Mapping[str, Learner],
    *,
    seed: int,
) -> Report:
    """Return all plots and the policy tree; `served` is the bundle made ready, `learners` holds the chosen one."""
    drawn = dict(figures(data, chosen, programme, seed=seed))
    effects = feature_effects(data, served, programme, seed=seed)
    if effects:
        drawn["feature_effects"] = plots.feature_effects(effects, unit=programme.currency)
    try:
        tree = policy_tree(data, chosen, programme, learners, seed=seed)
    except NotEnoughData as error:
        return Report(drawn, None, str(error))
    drawn["policy_tree"] = plots.policy_tree(tree, unit=programme.currency)
    return Report(drawn, tree)


def figures(data: Dataset, chosen: Candidate, programme: Programme, *, seed: int) -> Mapping[str, Any]:
    """Return the plots that need nothing but out-of-fold predictions, by name."""
    drawn: dict[str, Any] = {
        "policy_value": plots.policy_values(
            constant_values(data, chosen),
            title="Is the model worth more than doing the same for everybody?",
            unit=programme.currency,
            marked=(chosen.name,),
        ),
        "who_gets_what": who_gets_what(data, chosen),
        "four_groups": plots.four_groups(*segments_of(data, chosen)),
        **_money(data, chosen, programme, seed=seed),
    }
    curves: dict[str, Curve] = {}
    calibrated: dict[str, Calibration] = {}
    for name, trial in offer_trials(data, chosen.odds).items():
        curves[name] = qini(trial, seed=seed)
        try:
            calibrated[name] = calibration(trial)
        except NotEnoughData:
            continue
    if curves:
        drawn["qini"] = plots.qini_curves(curves)
    if calibrated:
        drawn["calibration"] = plots.calibrations(calibrated)
    return drawn


def _money(data: Dataset, chosen: Candidate, programme: Programme, *, seed: int) -> dict[str, Any]:
    scores, rows, best = scores_of(data, chosen.value), np.arange(len(data)), best_treatment(chosen.value)
    gains = scores - scores[:, :1]
    predicted, observed = chosen.value[rows, best] - chosen.value[:, 0], gains[rows, best]
    cost, cost_scores = costs(data, chosen.odds, programme)
    extra, extra_scores = cost - cost[:, :1], cost_scores - cost_scores[:, :1]
    by_budget = budget_curve(chosen.value - chosen.value[:, :1], extra, gains, extra_scores, data.customers)
    constants = {
        f"{action_id} for everybody": (float(extra_scores[:, k].mean()), float(gains[:, k].mean()))
        for k, action_id in enumerate(data.catalogue)
        if k > 0
    }
    by_share = share_curve(predicted, observed, data.customers, seed=seed)
    parts = by_decile(predicted, observed, data.customers)
    return {
        "cost_curve": plots.budget_and_share(by_share, by_budget, constants, unit=programme.currency),
        "uplift_by_decile": plots.deciles(parts, unit=programme.currency),
    }


def constant_values(data: Dataset, chosen: Candidate) -> dict[str, Estimate]:
    """Return the doubly robust value of the chosen policy and of every constant action where it is allowed.

    Intervals are by customer.
    """
    q_hat = np.where(data.allowed, chosen.value, 0.0)
    targets = {chosen.name: greedy(chosen.value)}
    for k, action_id in enumerate(data.catalogue):
        targets[f"always {action_id}"] = constant_target(data, k)
    customers = data.customers
    return {name: clustered_mean(policy_terms(data, target, q_hat), customers) for name, target in targets.items()}


def constant_target(data: Dataset, k: int) -> FloatArray:
    """Return the policy `always action k` as a distribution [n, K]: control where the action is not allowed."""
    place = np.where(data.allowed[:, k], k, 0)
    target = np.zeros(data.allowed.shape)
    target[np.arange(len(data)), place] = 1.0
    return target
