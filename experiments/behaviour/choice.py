"""Which members are averaged: those that did not fail in a season of the past, which none of them had seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from decision.policies.posterior import logit, sigmoid
from decision.records import FloatArray
from experiments.behaviour import enough
from experiments.behaviour.journal import Journal
from experiments.behaviour.metrics import log_losses
from experiments.behaviour.repurchase import MEMBERS, SEASON, Repurchase, fit_repurchase
from experiments.behaviour.shares import Z
from experiments.behaviour.state import State, first_purchase_after, state_at

# A member is left out when its log loss is higher than the best one's by a twentieth, and clearly so.
WORSE = 0.05
NEWTON_STEPS = 30


def enough_at(journal: Journal, day: int) -> bool:
    """Return whether what lies before a day is enough to learn repurchases from."""
    if day <= journal.first_day:
        return False
    return enough.REPURCHASE.verdict(enough.found_in(state_at(journal, day), day - journal.first_day)).enough


def fit_chosen(journal: Journal, cut: int, *, seed: int) -> Repurchase:
    """Return the model learned from what lies before the day `cut`, of the members chosen a season before it."""
    known, day = journal.before(cut), cut - int(SEASON)
    past = fit_repurchase(known, day, seed=seed) if enough_at(known, day) else None
    return replace(fit_repurchase(known, cut, seed=seed), kept=chosen(past, known, day))


def chosen(past: Repurchase | None, journal: Journal, day: int) -> tuple[str, ...]:
    """Return the members to keep, by what came in the season from `day` on; all, where there was no `past` model.

    They are compared at the level that came: a season that nobody foretold is held against none of them.
    """
    if past is None:
        return MEMBERS
    state = state_at(journal, day)
    came = (first_purchase_after(journal, state) < SEASON).astype(float)
    if not 0.0 < came.mean() < 1.0:
        return MEMBERS
    alone = _within_season(past, state).items()
    losses = {name: log_losses(came, _at_level(chance, came)) for name, chance in alone}
    best = min(losses.values(), key=lambda loss: float(loss.mean()))
    return tuple(name for name, loss in losses.items() if not _fails(loss - best, float(best.mean())))


def _within_season(past: Repurchase, state: State) -> dict[str, FloatArray]:
    """Return each member's P(purchase within a season), [N], with every week looked at."""
    alone = {name: replace(past, kept=(name,)) for name in MEMBERS}
    return {name: one.curve(state).within(SEASON) for name, one in alone.items()}


def _at_level(chance: FloatArray, came: FloatArray) -> FloatArray:
    """Return chances whose log-odds are shifted so that their mean is the share that came."""
    log_odds, shift = logit(chance), 0.0
    for _ in range(NEWTON_STEPS):
        found = sigmoid(log_odds + shift)
        shift += float(np.clip((came - found).sum() / max((found * (1.0 - found)).sum(), 1e-9), -1.0, 1.0))
    return sigmoid(log_odds + shift)


def _fails(more: FloatArray, best: float) -> bool:
    mean, error = float(more.mean()), float(more.std() / len(more) ** 0.5)
    return mean > WORSE * best and mean > Z * error
