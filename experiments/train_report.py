"""Figures and metrics of a training run, all from out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from decision.errors import InvalidInput, NotEnoughData
from decision.programme.model import Programme
from decision.records import CONTROL, FloatArray, action_named
from experiments import plots
from experiments.dataset import Dataset
from experiments.off_policy import Estimate
from experiments.selection import Candidate, greedy, policy_terms
from experiments.uplift_metrics.calibration import Calibration, calibration
from experiments.uplift_metrics.curve import Curve
from experiments.uplift_metrics.qini import qini
from experiments.uplift_metrics.trial import Trial


def candidate_metrics(candidate: Candidate) -> dict[str, float]:
    """Return the policy's value per decision with its 95 % interval, in currency units."""
    mean, error = candidate.mean, candidate.standard_error
    return {
        "policy_value": mean,
        "policy_value_se": error,
        "policy_value_low": mean - 1.96 * error,
        "policy_value_high": mean + 1.96 * error,
    }


def figures(data: Dataset, chosen: Candidate, programme: Programme, *, seed: int) -> Mapping[str, Any]:
    """Return the plots of a training run by name."""
    drawn: dict[str, Any] = {
        "policy_value": plots.policy_values(
            constant_values(data, chosen),
            title=f"{chosen.name} against doing the same for everybody, out of fold",
            unit=programme.currency,
            marked=(chosen.name,),
        ),
        "who_gets_what": _who_gets_what(data, chosen),
    }
    trials = offer_trials(data, chosen.odds)
    curves: dict[str, Curve] = {}
    calibrated: dict[str, Calibration] = {}
    for name, trial in trials.items():
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


def constant_values(data: Dataset, chosen: Candidate) -> dict[str, Estimate]:
    """Return the doubly robust value of the chosen policy and of every constant action where it is allowed."""
    q_hat = np.where(data.allowed, chosen.value, 0.0)
    targets = {chosen.name: greedy(chosen.value)}
    for k, action_id in enumerate(data.catalogue):
        targets[f"always {action_id}"] = constant_target(data, k)
    return {name: _estimate(policy_terms(data, target, q_hat)) for name, target in targets.items()}


def constant_target(data: Dataset, k: int) -> FloatArray:
    """Return the policy `always action k` as a distribution [n, K]: control where the action is not allowed."""
    place = np.where(data.allowed[:, k], k, 0)
    target = np.zeros(data.allowed.shape)
    target[np.arange(len(data)), place] = 1.0
    return target


def _estimate(terms: FloatArray) -> Estimate:
    mean, error = float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(len(terms)))
    return Estimate(mean, error, mean - 1.96 * error, mean + 1.96 * error, len(terms), float(len(terms)))


def offer_trials(data: Dataset, odds: FloatArray) -> dict[str, Trial]:
    """Return, by offer, the customers who got it through any channel or nothing, with the uplift predicted.

    The predicted uplift in repurchase is averaged over the channels as the log gave them.
    """
    offers = sorted({action_named(a).offer for a in data.catalogue if a != CONTROL})
    logged = np.zeros(data.allowed.shape)
    place = {action_id: k for k, action_id in enumerate(data.catalogue)}
    for i, decision in enumerate(data.decisions):
        for action_id, chance in zip(decision.allowed, decision.distribution, strict=True):
            if action_id in place:
                logged[i, place[action_id]] = chance
    trials = {}
    for offer in offers:
        of_offer = np.array([a != CONTROL and action_named(a).offer == offer for a in data.catalogue])
        share = logged[:, of_offer].sum(axis=1)
        keep = (of_offer[data.action] | (data.action == 0)) & (share > 0) & (logged[:, 0] > 0)
        uplift = (odds[:, of_offer] * logged[:, of_offer]).sum(axis=1) / np.where(share > 0, share, 1.0) - odds[:, 0]
        try:
            trials[offer] = Trial(
                outcome=data.repurchased[keep],
                treated=of_offer[data.action][keep],
                cate=uplift[keep],
                treatment_probability=(share / (share + logged[:, 0]).clip(1e-12))[keep],
            )
        except InvalidInput:
            continue
    return trials


def _who_gets_what(data: Dataset, chosen: Candidate) -> Any:
    given = greedy(chosen.value)
    groups = _groups(data)
    used = np.flatnonzero(given.mean(axis=0) > 0.002)
    shares = np.array([given[members][:, used].mean(axis=0) for members in groups.values()])
    return plots.who_gets_what(
        shares,
        rows=list(groups),
        columns=[data.catalogue[k] for k in used],
        sizes=[int(members.sum()) for members in groups.values()],
    )


def _groups(data: Dataset) -> dict[str, np.ndarray]:
    """Return readable groups of customers: everybody, each level of a category, thirds of a number."""
    groups: dict[str, np.ndarray] = {"everybody": np.ones(len(data), dtype=bool)}
    contexts = data.contexts
    for name in sorted({name for context in contexts[:1000] for name in context}):
        facts = [context.get(name) for context in contexts]
        texts = {fact for fact in facts if isinstance(fact, str)}
        if 1 < len(texts) <= 5:
            groups |= {f"{name} = {text}": np.array([fact == text for fact in facts]) for text in sorted(texts)}
        elif not texts:
            numbers = np.array([fact if isinstance(fact, int | float) else np.nan for fact in facts], dtype=float)
            groups |= _thirds(name, numbers)
    return groups


def _thirds(name: str, numbers: FloatArray) -> dict[str, np.ndarray]:
    known = numbers[~np.isnan(numbers)]
    if len(known) < 30 or known.min() == known.max():
        return {}
    distinct = np.unique(known)
    if len(distinct) <= 4:
        return {f"{name} = {number:g}": numbers == number for number in distinct}
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    parts = {
        f"{name} ≤ {low:.3g}": numbers <= low,
        f"{name} {low:.3g} to {high:.3g}": (numbers > low) & (numbers <= high),
        f"{name} > {high:.3g}": numbers > high,
    }
    return {label: members for label, members in parts.items() if members.sum() >= 30}
