"""How sure predictions are: a bootstrap over customers, and what came of customers like her at past moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from decision.policies.posterior import sigmoid
from decision.records import FloatArray, IntArray
from experiments.behaviour.columns import facts
from experiments.behaviour.habit import fit_regular_habit
from experiments.behaviour.hazard import fit_linear, fit_rhythm, weekly_to
from experiments.behaviour.journal import Journal
from experiments.behaviour.panel import affordable, panel_of
from experiments.behaviour.state import State, spent_after, state_at

REPLICATES = 12
Z = 1.959964
PURCHASE_STEPS = (2.0, 3.0, 6.0)
SILENCE_STEPS = (0.5, 1.0, 2.0)
CELLS = (len(PURCHASE_STEPS) + 1) * (len(SILENCE_STEPS) + 1)
GROUPS = 10
LEAST_IN_GROUP = 30
TENTHS = (0.1, 0.9)
SUREST = 1e-6


@dataclass(frozen=True, slots=True)
class Certainty:
    """`spread` [cells]: standard error of log-odds by purchases and silence; `level`: how far a season was off.

    `edges` [G - 1] of expected money separate groups, in which a tenth brought less than `least` [G] times, and a tenth
    more than `most` [G] times what was expected. Without groups there is no interval of money.
    """

    spread: FloatArray
    level: float
    edges: FloatArray
    least: FloatArray
    most: FloatArray

    def of_chance(self, state: State, chance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the 95 % interval of probabilities, [N] each."""
        kept = np.clip(chance, SUREST, 1.0 - SUREST)
        log_odds = np.log(kept / (1.0 - kept))
        half = Z * np.hypot(self.spread[_cells(state)], self.level)
        return sigmoid(log_odds - half), sigmoid(log_odds + half)

    def of_money(self, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what a tenth of customers like her bring less, and more, than, [N] each; NaN where that is unknown."""
        if not len(self.least):
            return np.full(len(expected), np.nan), np.full(len(expected), np.nan)
        group = np.searchsorted(self.edges, expected, side="right")
        return expected * self.least[group], expected * self.most[group]


def _cells(state: State) -> IntArray:
    often = np.searchsorted(PURCHASE_STEPS, state.purchases, side="right")
    silent = np.searchsorted(SILENCE_STEPS, state.silence / state.usual_gap, side="right")
    return np.asarray(often * (len(SILENCE_STEPS) + 1) + silent)


def spread_of(journal: Journal, cut: int, *, seed: int, advance: Callable[[int], None]) -> FloatArray:
    """Return the standard error of log-odds of a purchase in 90 days by cell, [cells].

    The linear hazards are refitted on customers drawn with replacement (weights of a multinomial); trees vary more, and
    averaging with the others less.
    """
    journal = affordable(journal.before(cut), cut, seed=seed)
    state = state_at(journal, cut)
    habit = fit_regular_habit(journal, state)
    panel = panel_of(journal, cut, habit)
    rng = np.random.default_rng(seed)
    places = np.unique(panel.customer)
    later = state.aged(42.0)
    x = facts(later, habit)
    found = []
    for _ in range(REPLICATES):
        weights = np.zeros(len(journal.names))
        np.add.at(weights, rng.choice(places, len(places)), 1.0)
        pair = [fit(panel, weights=weights[panel.customer]) for fit in (fit_linear, fit_rhythm)]
        hazards = [weekly_to(one.log_odds(x, cut + 42.0), 90.0) for one in pair]
        chance = np.clip(-np.expm1(-np.mean(hazards, axis=0)), SUREST, 1.0 - SUREST)
        found.append(np.log(chance / (1.0 - chance)))
        advance(1)
    each = np.std(found, axis=0, ddof=1)
    cell = _cells(state)
    overall = float(np.sqrt((each**2).mean()))
    counts = np.bincount(cell, minlength=CELLS)
    sums = np.bincount(cell, each**2, minlength=CELLS)
    return np.where(counts >= 10, np.sqrt(sums / np.maximum(counts, 1)), overall)


@dataclass(frozen=True, slots=True)
class Origin:
    """A past moment whose outcome is known: what was expected then of N customers, and what came."""

    chance: FloatArray
    bought: FloatArray
    expected: FloatArray
    spent: FloatArray


def origin_at(journal: Journal, day: int, days: int, predicted: tuple[FloatArray, FloatArray]) -> Origin:
    """Return what came of the customers at `day` within so many days, beside `predicted` (chance, money)."""
    state = state_at(journal, day)
    spent = spent_after(journal, state, days)
    return Origin(predicted[0], (spent > 0).astype(float), predicted[1], spent)


def certainty_of(spread: FloatArray, origins: list[Origin]) -> Certainty:
    """Return how sure predictions are, by the bootstrap and by what came at past origins."""
    if not origins:
        return Certainty(spread, 0.0, np.zeros(0), np.zeros(0), np.zeros(0))
    offs = [_log_odds(float(o.bought.mean())) - _log_odds(float(o.chance.mean())) for o in origins]
    level = float(np.sqrt(np.mean(np.square(offs))))
    expected = np.concatenate([o.expected for o in origins])
    spent = np.concatenate([o.spent for o in origins])
    groups = min(GROUPS, len(expected) // LEAST_IN_GROUP)
    if groups < 2:
        return Certainty(spread, level, np.zeros(0), np.zeros(0), np.zeros(0))
    edges = np.quantile(expected, np.arange(1, groups) / groups)
    group = np.searchsorted(edges, expected, side="right")
    ratio = spent / expected
    ends = [np.quantile(ratio[group == g], TENTHS) if (group == g).any() else (0.0, 1.0) for g in range(groups)]
    return Certainty(spread, level, edges, np.array([e[0] for e in ends]), np.array([e[1] for e in ends]))


def _log_odds(mean: float) -> float:
    kept = min(max(mean, 1e-3), 1.0 - 1e-3)
    return float(np.log(kept / (1.0 - kept)))
