"""The simple rules that every prediction must beat. What they learn, they learn before the cut as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.records import FloatArray, IntArray
from experiments.behaviour import rfm
from experiments.behaviour.journal import Journal
from experiments.behaviour.state import State, first_purchase_after, state_at

SILENT = 2.0


@dataclass(frozen=True, slots=True)
class Rules:
    """Rates by RFM score 3 to 15 and by silence, seen at the last moment whose outcome was known at the cut.

    `by_score` [13] and `by_silence` [2] are shares that bought within the horizon; `wait` is the median wait of those.
    """

    thresholds: rfm.Thresholds
    by_score: FloatArray
    by_silence: FloatArray
    wait: float

    def by_rfm(self, state: State) -> FloatArray:
        """Return the share of customers with her RFM score who bought again, [N]."""
        return np.asarray(self.by_score[_score(state, self.thresholds) - 3])

    def by_gap(self, state: State) -> FloatArray:
        """Return the share of customers silent for more (or less) than twice their usual gap who bought again, [N]."""
        return np.asarray(self.by_silence[_silent(state)])


def learn_rules(journal: Journal, cut: int, days: int) -> Rules:
    """Return the rules for a horizon, from what lies before the day `cut`."""
    known = journal.before(cut)
    day = max(cut - days, known.first_day + 14)
    state = state_at(known, day)
    wait = first_purchase_after(known, state)
    came = (wait < days).astype(float)
    thresholds = rfm.thresholds_of(state)
    return Rules(
        thresholds,
        _rates(_score(state, thresholds) - 3, came, 13),
        _rates(_silent(state), came, 2),
        float(np.median(wait[came > 0.5])) + 0.5 if came.any() else days / 2.0,
    )


def goes_on(state: State, days: int) -> FloatArray:
    """Return what she will order if she goes on as since her first purchase (at least a month ago), [N]."""
    return np.asarray(state.spent / np.maximum(state.tenure, 30.0) * days)


def _score(state: State, thresholds: rfm.Thresholds) -> IntArray:
    found = rfm.rfm_of(state, thresholds)
    return np.asarray(found.recency + found.frequency + found.money)


def _silent(state: State) -> IntArray:
    return (state.silence > SILENT * state.usual_gap).astype(np.int64)


def _rates(group: IntArray, came: FloatArray, groups: int) -> FloatArray:
    """Return the share by group, shrunk by five customers of the average."""
    mean = float(came.mean()) if len(came) else 0.5
    hits = np.bincount(group, came, minlength=groups) + 5.0 * mean
    return np.asarray(hits / (np.bincount(group, minlength=groups) + 5.0))
