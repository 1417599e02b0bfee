"""A customer's state as numbers that models are linear in: logarithms, and hinges at their quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.policies.posterior import logit
from decision.records import FloatArray, IntArray
from experiments.behaviour.habit import Habit
from experiments.behaviour.state import State

# What each column of `facts` is, for a person.
FACTS = (
    "log of days since the last purchase",
    "log of purchases",
    "log of days between purchases, 0 with one",
    "has bought more than once",
    "log of money a purchase",
    "purchases lately (30 days' memory)",
    "purchases recently (90 days' memory)",
    "log of silence over her usual gap",
    "log of her own rate of purchases",
    "log of what came back, in purchases",
    "silence over her usual gap, at most 4",
    "log-odds of a purchase in the coming week by her habit",
)
# The habit's own verdict is for trees alone: on a shop of subscriptions it makes linear hazards just good enough to be
# averaged, which costs more than it brings.
GROWN = tuple(range(len(FACTS)))
ALL = GROWN[:-1]
RHYTHM = (0, 8, 4, 7, 9, 5)
MONOTONE = (0, 1, 4, 7, 8, 11)
# More silence means a lower hazard, more and quicker purchases a higher one.
DIRECTIONS = (-1, 1, 0, 0, 1, 1)
SPENT = (
    "log of days since the last purchase",
    "log of purchases",
    "log of days since the first purchase",
    "log of days between purchases, 0 with one",
    "has bought more than once",
    "log of money a purchase",
    "log of all money",
    "log of the biggest purchase",
    "log of the latest purchase",
    "purchases recently (90 days' memory)",
)
SOON = np.array([7.0])
QUANTILES = (0.2, 0.4, 0.6, 0.8)


def facts(state: State, habit: Habit) -> FloatArray:
    """Return what repurchase depends on, shape [N, len(FACTS)]; `habit` is one in calendar time."""
    overdue = state.silence / state.usual_gap
    often = state.purchases > 1
    gap = (state.tenure - state.silence) / np.maximum(state.purchases - 1.0, 1.0)
    each = state.spent / state.purchases
    return np.column_stack(
        [
            np.log(state.silence),
            np.log(state.purchases),
            np.where(often, np.log1p(gap), 0.0),
            often.astype(float),
            np.log(each),
            np.log1p(state.lately),
            np.log1p(state.recently),
            np.log(overdue),
            np.log(habit.rate(state)),
            np.log1p(state.returned / each),
            np.minimum(overdue, 4.0),
            logit(habit.buys_within(state, SOON)[:, 0]),
        ]
    )


def money_facts(state: State) -> FloatArray:
    """Return what future spending depends on, shape [N, len(SPENT)]."""
    often = state.purchases > 1
    gap = (state.tenure - state.silence) / np.maximum(state.purchases - 1.0, 1.0)
    return np.column_stack(
        [
            np.log(state.silence),
            np.log(state.purchases),
            np.log(state.tenure),
            np.where(often, np.log1p(gap), 0.0),
            often.astype(float),
            np.log(state.spent / state.purchases),
            np.log(state.spent),
            np.log(state.biggest),
            np.log(state.latest),
            np.log1p(state.recently),
        ]
    )


@dataclass(frozen=True, slots=True)
class Hinges:
    """Columns that bend at quantiles: (x - mean) / sd and max(0, that - knot). `of` [F] are places among the facts.

    `knots` [F, Q] are in standard deviations; without any the columns are straight.
    """

    of: IntArray
    mean: FloatArray
    sd: FloatArray
    knots: FloatArray

    def columns(self, x: FloatArray) -> FloatArray:
        """Return shape [N, F * (1 + Q)] of facts [N, all]."""
        z = (x[:, self.of] - self.mean) / self.sd
        bent = np.maximum(z[:, :, None] - self.knots, 0.0).reshape(len(z), -1)
        return np.concatenate([z, bent], axis=1)

    def weighed(self, x: FloatArray, weights: FloatArray) -> FloatArray:
        """Return `columns(x) @ weights`, [N], without making the columns: many times as fast."""
        n, q = self.knots.shape
        total, bent = np.zeros(len(x)), np.zeros(len(x))
        for f, (mean, sd) in enumerate(zip(self.mean.tolist(), self.sd.tolist(), strict=True)):
            z = (x[:, self.of[f]] - mean) / sd
            total += weights[f] * z
            for knot, weight in zip(self.knots[f].tolist(), weights[n + f * q : n + (f + 1) * q].tolist(), strict=True):
                np.subtract(z, knot, out=bent)
                np.maximum(bent, 0.0, out=bent)
                bent *= weight
                total += bent
        return total


def fit_hinges(x: FloatArray, of: tuple[int, ...], *, straight: bool = False) -> Hinges:
    """Return the hinges of facts seen in training, [n, all]."""
    chosen = x[:, of]
    mean, sd = chosen.mean(axis=0), chosen.std(axis=0)
    sd = np.where(sd > 1e-9, sd, 1.0)
    at = np.quantile((chosen - mean) / sd, () if straight else QUANTILES, axis=0).T
    return Hinges(np.array(of), mean, sd, at.reshape(len(of), -1))
