"""P(a purchase within d days): habit, hazards that are linear, and boosted ones, averaged on the scale of log-odds.

The weights are equal: a year of history holds too few separate origins to learn them from, and an average of models
that err differently is hard to beat (Bates and Granger 1969). Members that a past moment showed to be clearly worse are
left out (`choice`): a shop whose customers come by the calendar is beyond some of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from decision.policies.posterior import logit, sigmoid
from decision.records import FloatArray, IntArray
from experiments.behaviour.columns import facts
from experiments.behaviour.habit import Habit, fit_habit, fit_regular_habit
from experiments.behaviour.hazard import (
    DIRECTED,
    FREE,
    Hazard,
    Linear,
    Trees,
    fit_linear,
    fit_rhythm,
    fit_trees,
    weekly_to,
)
from experiments.behaviour.journal import Journal
from experiments.behaviour.panel import WEEK, affordable, panel_of
from experiments.behaviour.season import Season
from experiments.behaviour.state import State, state_at

# The hazard is that of the middle week of each span; chances between the ends are interpolated.
ENDS = (7.0, 14.0, 30.0, 60.0, 90.0, 135.0, 180.0, 270.0, 365.0)
# Where the habit fails, customers come by the calendar, and the hazard turns from week to week.
WEEKLY = (*(7.0 * week for week in range(1, 13)), 90.0, 112.0, 135.0, 180.0, 225.0, 270.0, 315.0, 365.0)
HABIT, LINEAR, RHYTHMIC, TREES, DIRECTED_TREES = MEMBERS = (
    "habit (BG/NBD)",
    "linear hazard",
    "rhythm hazard",
    "trees",
    "monotone trees",
)
SUREST = 1e-6
# Shorter columns take more calls than work, longer ones leave a processor's cache.
CHUNK = 65_536
LONGEST = 365
SEASON = 90.0
NEARLY_SURE = 0.99


@dataclass(frozen=True, slots=True)
class Repurchase:
    """The members, and up to which day they are asked: as far as the history reaches.

    `habit` is BG/NBD in seasonal time; `rates` the one in calendar time, which tells facts of the hazards. `kept`
    are the members that are averaged.
    """

    rates: Habit
    habit: Habit
    linear: Linear
    rhythm: Linear
    trees: Trees
    directed: Trees
    horizon_days: int
    kept: tuple[str, ...] = MEMBERS

    @property
    def ends(self) -> FloatArray:
        """Return the days at which chances are computed, [E]."""
        within = [end for end in (ENDS if HABIT in self.kept else WEEKLY) if end < self.horizon_days]
        return np.array([*within, float(self.horizon_days)])

    @property
    def season(self) -> Season:
        """Return the year's wave, as estimated."""
        return self.linear.season

    def sentence(self) -> str:
        """Return which members are averaged, for a person."""
        out = [name for name in MEMBERS if name not in self.kept]
        if not out:
            return "Repurchase is the average of all five members."
        return f"Repurchase is by {', '.join(self.kept)}; {', '.join(out)} failed in an earlier season."

    def members(self, state: State) -> Mapping[str, FloatArray]:
        """Return P(purchase within `ends`), [N, E], by each member that is kept."""
        all_hazards: dict[str, Hazard] = {
            LINEAR: self.linear,
            RHYTHMIC: self.rhythm,
            TREES: self.trees,
            DIRECTED_TREES: self.directed,
        }
        hazards = {name: hazard for name, hazard in all_hazards.items() if name in self.kept}
        summed = {name: np.zeros((len(state.customer), len(self.ends))) for name in hazards}
        begun, so_far = 0.0, dict.fromkeys(hazards, np.zeros(len(state.customer)))
        for e, end in enumerate(self.ends):
            # Weeks are judged by what was known when they began, as in training.
            middle = 0.5 * (begun + end - WEEK)
            later = state.aged(middle)
            x = facts(later, self.rates)
            for name, hazard in hazards.items():
                so_far[name] = so_far[name] + weekly_to(hazard.log_odds(x, state.as_of + middle), end - begun)
                summed[name][:, e] = so_far[name]
            begun = end
        chances = {name: -np.expm1(-total) for name, total in summed.items()}
        if HABIT in self.kept:
            chances = {HABIT: self.habit.buys_within(state, self.ends), **chances}
        return chances

    def curve(self, state: State, *, advance: Callable[[int], None] = lambda _: None) -> Curve:
        """Return the chances of a purchase of every customer; `advance` is told of how many more are done."""
        chances = np.zeros((len(state.customer), len(self.ends)))
        parts = [np.arange(start, min(start + CHUNK, len(chances))) for start in range(0, len(chances), CHUNK)]

        def of(part: IntArray) -> FloatArray:
            return averaged(list(self.members(state.where(part)).values()))

        # numpy lets go of the interpreter while it works.
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for part, found in zip(parts, threads.map(of, parts), strict=True):
                chances[part] = found
                advance(len(part))
        return Curve(self.ends, chances)


@dataclass(frozen=True, slots=True)
class Curve:
    """P(purchase within d days) at `ends` [E], for N customers: `chances` [N, E], never falling."""

    ends: FloatArray
    chances: FloatArray

    def within(self, days: FloatArray | float) -> FloatArray:
        """Return P(purchase within `days`), one horizon for all or one for each customer [N]."""
        wanted = np.broadcast_to(np.asarray(days, float), (len(self.chances),))
        return np.asarray(-np.expm1(-_at(wanted, self.ends, self._hazards())))

    def purchases_a_day(self) -> FloatArray:
        """Return expected purchases a day, [N], over a season, or a shorter span where a purchase is nearly sure.

        Who buys every week buys within 90 days for certain, which does not tell how often.
        """
        within = self.ends <= SEASON
        unsure = (self.chances[:, within] <= NEARLY_SURE).sum(axis=1)
        span = np.maximum(unsure - 1, 0)
        hazards = self._hazards()[np.arange(len(span)), span]
        return np.asarray(hazards / self.ends[span])

    def day_of(self, share: float, *, horizon: FloatArray | float) -> FloatArray:
        """Return the day by which a `share` of those who buy within the horizon have bought, [N]."""
        target = -np.log1p(-share * self.within(horizon))
        return _inverse(target, self.ends, self._hazards())

    def _hazards(self) -> FloatArray:
        return np.asarray(-np.log1p(-np.minimum(self.chances, 1.0 - SUREST)))


def fit_repurchase(journal: Journal, cut: int, *, seed: int) -> Repurchase:
    """Return the model learned from what lies before the day `cut`."""
    journal = affordable(journal.before(cut), cut, seed=seed)
    state = state_at(journal, cut)
    rates = fit_regular_habit(journal, state)
    panel = panel_of(journal, cut, rates)
    linear = fit_linear(panel)
    return Repurchase(
        rates=rates,
        habit=fit_habit(state, linear.season, rates.regularity),
        linear=linear,
        rhythm=fit_rhythm(panel),
        trees=fit_trees(panel, linear, FREE, seed=seed),
        directed=fit_trees(panel, linear, DIRECTED, seed=seed + 1),
        horizon_days=min(LONGEST, max(90, cut - journal.first_day)),
    )


def averaged(chances: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of probabilities on the scale of log-odds."""
    return sigmoid(logit(np.stack(chances)).mean(axis=0))


def _at(days: FloatArray, ends: FloatArray, hazards: FloatArray) -> FloatArray:
    """Return the cumulative hazard, [N], at `days` [N]; past the last end it goes on as in the last span."""
    x, y = _from_zero(ends, hazards)
    span = np.clip(np.searchsorted(x, days, side="right") - 1, 0, len(x) - 2)
    rows = np.arange(len(y))
    slope = (y[rows, span + 1] - y[rows, span]) / (x[span + 1] - x[span])
    return np.asarray(y[rows, span] + slope * (days - x[span]))


def _inverse(wanted: FloatArray, ends: FloatArray, hazards: FloatArray) -> FloatArray:
    """Return the days, [N], at which cumulative hazards `wanted` [N] are reached."""
    x, y = _from_zero(ends, hazards)
    span = np.clip((y <= wanted[:, None]).sum(axis=1) - 1, 0, len(x) - 2)
    rows = np.arange(len(y))
    rise = np.maximum(y[rows, span + 1] - y[rows, span], 1e-12)
    return np.asarray(x[span] + (wanted - y[rows, span]) / rise * (x[span + 1] - x[span]))


def _from_zero(ends: FloatArray, hazards: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.concatenate([[0.0], ends]), np.concatenate([np.zeros((len(hazards), 1)), hazards], axis=1)
