"""Chooses a hyperparameter by a stated rule, from the log alone: SLOPE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.estimate import Estimate, half_width
from experiments.off_policy.estimator import SmoothOfMeans
from experiments.off_policy.intervals import standard_error
from experiments.off_policy.rounds import FloatArray, Rounds
from experiments.off_policy.sums import Sums

LARGEST_WEIGHTS = (1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, math.inf)
"""Candidates for a number in the unit of weights; infinity leaves weights alone, so one is always without bias."""

STRENGTHS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0)
"""Candidates for sub-Gaussian shrinkage, the strongest first; 1 would forget how much the target differs."""

SLACK = math.sqrt(6) - 1


@dataclass(frozen=True)
class Slope:
    """An estimator that is the candidate which SLOPE chooses (Su et al. 2020; Tucker and Lee 2021).

    Candidates are looked at from the widest interval to the narrowest, which is from the least biased to the
    most. One is accepted while it lies no further from each accepted one than its own half width plus
    sqrt(6) - 1 times that one's; the last accepted is chosen. Among equal widths the earlier in `candidates`,
    by convention the more shrunk, counts as the narrower. With one round nothing can be compared: then the
    last candidate, the least shrunk, is chosen.

    The interval is the chosen candidate's: it knows of no bias, nor that there was a choice.

    Parameters
    ----------
    candidates : estimators by their hyperparameter, from the most shrunk to the least.
    confidence : of the one-sided Student bounds that are the half widths.
    """

    candidates: Mapping[float, SmoothOfMeans]
    confidence: float = 0.9

    def __post_init__(self) -> None:
        if not self.candidates:
            raise InvalidInput("Slope needs at least one candidate, found none.", hint="Use slope.LARGEST_WEIGHTS.")

    def choose(self, sums: Sums) -> float:
        """The hyperparameter of the candidate chosen on these sums."""
        return list(self.candidates)[self._place(sums)]

    def settled(self, rounds: Rounds) -> SmoothOfMeans:
        """The candidate chosen on these rounds."""
        return self.candidates[self.choose(self.sums(rounds))]

    def sums(self, rounds: Rounds) -> Sums:
        """Every candidate's sums, side by side."""
        return Sums.beside([candidate.sums(rounds) for candidate in self.candidates.values()])

    def from_sums(self, sums: Sums, *, level: float = 0.95, interval: str = "careful") -> Estimate:
        """The chosen candidate's value and interval."""
        place = self._place(sums)
        chosen = list(self.candidates.values())[place]
        return chosen.from_sums(sums.one(place), level=level, interval=interval)

    def estimate(self, rounds: Rounds, *, level: float = 0.95, interval: str = "careful") -> Estimate:
        """The chosen candidate's value of `rounds.target`, with its interval."""
        return self.from_sums(self.sums(rounds), level=level, interval=interval)

    def terms(self, rounds: Rounds) -> FloatArray:
        """float[n], the chosen candidate's."""
        return self.settled(rounds).terms(rounds)

    def _place(self, sums: Sums) -> int:
        if sums.n < 2:
            return len(self.candidates) - 1
        found = [self._interval(k, candidate, sums) for k, candidate in enumerate(self.candidates.values())]
        values, widths = (np.array(column) for column in zip(*found, strict=True))
        order = np.argsort(widths, kind="stable")[::-1]
        for i, k in enumerate(order[1:], start=1):
            wider = order[:i]
            if (np.abs(values[wider] - values[k]) > widths[k] + SLACK * widths[wider]).any():
                return int(order[i - 1])
        return int(order[-1])

    def _interval(self, k: int, candidate: SmoothOfMeans, sums: Sums) -> tuple[float, float]:
        one = sums.one(k)
        value, gradient = candidate.value(one.mean[0])
        return value, half_width(standard_error(gradient, one), one.n - 1, self.confidence)
