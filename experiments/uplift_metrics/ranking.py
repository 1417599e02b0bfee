"""Customers ranked by predicted uplift, highest first, and what is observed among the top ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.rounds import FloatArray, IntArray
from experiments.uplift_metrics.trial import Trial


@dataclass(frozen=True, eq=False)
class Top:
    """What is observed among the top customers, at every cut that does not part equal predictions.

    fraction : float[m], share of the customers, from 0 to 1.
    treated_share : float[m], share of all (weighted) treated customers that are among them.
    treated_mean, control_mean : float[m], mean outcome of either group, 0 while there are none.
    """

    fraction: FloatArray
    treated_share: FloatArray
    treated_mean: FloatArray
    control_mean: FloatArray

    @property
    def uplift(self) -> FloatArray:
        """float[m], treated mean less control mean."""
        return self.treated_mean - self.control_mean


@dataclass(frozen=True, eq=False)
class Ranking:
    """A trial sorted once, so that resamples need no sorting."""

    treated: FloatArray
    treated_outcome: FloatArray
    control: FloatArray
    control_outcome: FloatArray
    cut: IntArray
    order: IntArray

    @classmethod
    def of(cls, trial: Trial) -> Ranking:
        """Sort by predicted uplift; customers with equal predictions enter together."""
        order = np.argsort(-trial.cate, kind="stable")
        cate, weight = trial.cate[order], trial.weight[order]
        outcome = trial.outcome[order]
        treated = weight * trial.treated[order]
        control = weight - treated
        last_of_equals = np.flatnonzero(np.append(np.diff(cate) != 0, True))
        return cls(treated, treated * outcome, control, control * outcome, last_of_equals, order)

    def top(self, copies: FloatArray | None = None) -> Top:
        """Cumulate down the ranking; `copies` float[n] counts each customer (in ranked order) so often."""
        times = np.ones(len(self.treated)) if copies is None else copies
        customers = self._cumulate(times)
        treated = self._cumulate(times * self.treated)
        control = self._cumulate(times * self.control)
        return Top(
            fraction=customers / customers[-1],
            treated_share=_ratio(treated, np.full_like(treated, treated[-1])),
            treated_mean=_ratio(self._cumulate(times * self.treated_outcome), treated),
            control_mean=_ratio(self._cumulate(times * self.control_outcome), control),
        )

    def _cumulate(self, values: FloatArray) -> FloatArray:
        return np.concatenate([[0.0], np.cumsum(values)[self.cut]])


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
