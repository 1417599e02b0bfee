"""Guardrail metrics: what a challenger may not make worse while it earns more."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.contrast import Contrast, contrast
from experiments.off_policy.estimator import Estimator
from experiments.off_policy.rounds import FloatArray, Rounds


class Worse(StrEnum):
    """Which way a metric is worse: unsubscribes when higher, margin when lower."""

    HIGHER = "higher"
    LOWER = "lower"


class Burden(StrEnum):
    """What must be proven: HARM vetoes only a harm that is proven, SAFETY everything not proven harmless."""

    HARM = "harm"
    SAFETY = "safety"


@dataclass(frozen=True, eq=False)
class GuardrailMetric:
    """A metric of each logged round that may veto a promotion.

    Parameters
    ----------
    name : for the sentence, such as "unsubscribe rate".
    outcome : float[n], the metric's value in each round: 0 or 1 for a rate, money for a margin.
    worse : which way is worse.
    margin : the worsening per decision that is tolerated, in the metric's unit, at least 0.
    q_hat : float[n, K], out-of-fold predictions of the outcome; its mean over the log where there are none.
    burden : what must be proven.

    Raises
    ------
    InvalidInput : a negative or infinite margin.
    """

    name: str
    outcome: FloatArray
    worse: Worse
    margin: float = 0.0
    q_hat: FloatArray | None = None
    burden: Burden = Burden.HARM

    def __post_init__(self) -> None:
        if not 0 <= self.margin < math.inf:
            raise InvalidInput(
                f"The margin of {self.name} must be at least 0 and finite, found {self.margin:g}.",
                hint="It is the worsening per decision that you would accept.",
            )


@dataclass(frozen=True, slots=True)
class GuardrailFinding:
    """How much worse a challenger makes one metric; `harm` is positive where it is worse."""

    name: str
    harm: Contrast
    margin: float
    worse: Worse
    burden: Burden

    @property
    def highest_harm(self) -> float:
        """The harm's one-sided upper bound."""
        return self.harm.upper_bound

    @property
    def vetoes(self) -> bool:
        """Whether the harm is proven to exceed the margin, or not proven to stay below it, by the burden."""
        if self.burden is Burden.HARM:
            return self.harm.lower_bound > self.margin
        return not self.highest_harm < self.margin

    def sentence(self) -> str:
        """The finding for a marketer; changes are signed as the metric is."""
        sign = 1 if self.worse is Worse.HIGHER else -1
        ends = sorted((sign * self.harm.low, sign * self.harm.high))
        figures = (
            f"{self.name} changes by {sign * self.harm.gain:+.4g} per decision "
            f"({self.harm.level:.0%} interval {ends[0]:+.4g} to {ends[1]:+.4g}; {self.worse} is worse, "
            f"{self.margin:.4g} is tolerated)"
        )
        if not self.vetoes:
            return f"Guardrail passed: {figures}."
        why = "the harm is proven" if self.burden is Burden.HARM else "that it is harmless isn't proven"
        return f"Guardrail veto: {figures}: {why}."


def guard(
    metric: GuardrailMetric,
    rounds: Rounds,
    champion: FloatArray,
    *,
    estimator: Estimator,
    level: float,
    cluster: NDArray[np.generic] | None = None,
) -> GuardrailFinding:
    """Estimate what `rounds.target` does to a metric beside `champion`; raises InvalidInput when shapes differ."""
    sign = 1.0 if metric.worse is Worse.HIGHER else -1.0
    outcome = sign * np.asarray(metric.outcome, dtype=np.float64)
    if outcome.shape != rounds.reward.shape:
        raise InvalidInput(
            f"{metric.name} must have shape [{len(rounds)}], found {list(outcome.shape)}.",
            hint="Give the metric of every round, 0 where nothing happened.",
        )
    q_hat = np.full(rounds.target.shape, outcome.mean()) if metric.q_hat is None else sign * metric.q_hat
    log = replace(rounds, reward=outcome, q_hat=q_hat)
    harm = contrast(log, champion, estimator=estimator, level=level, cluster=cluster)
    return GuardrailFinding(metric.name, harm, metric.margin, metric.worse, metric.burden)
