"""How sure a fitted learner is of each customer: exact where there is a posterior, else from a few refits.

It knows the noise of the data, not what a learner's form or its shrinking misses. Refits are on customers drawn with
replacement: Efron, "Bootstrap methods: another look at the jackknife" (1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from decision.errors import NotEnoughData
from decision.policies.posterior import logit
from decision.records import FloatArray
from experiments.learners.base import Fitted, Learner, Rows, Uncertainty

REFITS, FEWEST_REFITS = 12, 4
# Odds that a tree puts at 0 or 1 would be infinitely far away in log-odds.
NEAREST = 1e-4


class Refits:
    """A few refits of a learner on customers drawn with replacement, made when they are first asked for."""

    def __init__(self, learner: Learner, rows: Rows, *, seed: int) -> None:
        """`rows` are what the learner was fitted on with `seed`."""
        self.learner = learner
        self.rows = rows
        self.seed = seed

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return the spread over the refits for contexts `x` [n, D].

        Raises
        ------
        NotEnoughData : most draws of customers have too few of an outcome to fit on.
        """
        return spread(np.array([logit(_inside(one.predict(x, in_sample=False))) for one in self._fitted]))

    @cached_property
    def _fitted(self) -> list[Fitted]:
        found, reason = [], ""
        for number in range(REFITS):
            rng = np.random.default_rng([self.seed, number])
            try:
                found.append(self.learner.fit(resampled(self.rows, rng), seed=self.seed + 1 + number))
            except NotEnoughData as error:
                reason = str(error)
        if len(found) < FEWEST_REFITS:
            raise NotEnoughData(
                f"Expected at least {FEWEST_REFITS} of {REFITS} refits to tell how sure {self.learner.name} is, found "
                f"{len(found)}: {reason}"
            )
        return found


@dataclass(frozen=True, slots=True)
class Refitted:
    """What fits without a posterior share: how sure they are says the spread of `refits`."""

    refits: Refits

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return standard deviations over refits on customers drawn with replacement, for contexts `x` [n, D]."""
        return self.refits.uncertainty(x)


def resampled(rows: Rows, rng: np.random.Generator) -> Rows:
    """Return as many customers drawn with replacement, each with all her rows."""
    _, place = np.unique(rows.members, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(place))])
    drawn = rng.integers(len(starts) - 1, size=len(starts) - 1)
    return rows.where(np.concatenate([order[starts[c] : starts[c + 1]] for c in drawn.tolist()]))


def spread(log_odds: FloatArray) -> Uncertainty:
    """Return the uncertainty that M draws of log-odds [M, n, K] show."""
    off = log_odds - log_odds.mean(axis=0)
    with_control = (off * off[:, :, :1]).sum(axis=0) / (len(off) - 1)
    return Uncertainty(log_odds.std(axis=0, ddof=1), with_control)


def _inside(odds: FloatArray) -> FloatArray:
    return np.clip(odds, NEAREST, 1.0 - NEAREST)
