"""Chooses a learner by the money its policy makes out of sample, not by fit.

Every candidate is cross-fitted by customer; its policy gives each customer the allowed action of highest predicted
value; the policy's value is estimated doubly robustly on the randomised log. A reference that shrinks by itself
is kept unless another beats it clearly: with a few thousand rows, money out of sample is noisy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures
from decision.programme.model import Programme
from decision.records import FloatArray
from decision.stages.hashing import uniform
from experiments.components import fit_components, values
from experiments.dataset import Dataset
from experiments.learners import USUAL
from experiments.learners.base import Learner, Rows
from experiments.off_policy import Rounds
from experiments.off_policy.dr import Dr

REFERENCE = "pooled_sparse"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A learner with what it was worth out of sample.

    `odds` and `value` [n, K] are out-of-fold predictions; `terms` [n] average to the policy's value per decision.
    `failure` says why a learner could not be fitted; then the arrays are empty.
    """

    name: str
    complexity: int
    odds: FloatArray
    value: FloatArray
    terms: FloatArray
    failure: str = ""

    @property
    def mean(self) -> float:
        """Return the policy's value per decision, in currency units."""
        return float(self.terms.mean()) if len(self.terms) else float("nan")

    @property
    def standard_error(self) -> float:
        """Return the standard error of `mean`."""
        return float(self.terms.std(ddof=1) / np.sqrt(len(self.terms))) if len(self.terms) else float("nan")


def cross_fit(
    data: Dataset,
    x: FloatArray,
    features: ActionFeatures,
    programme: Programme,
    *,
    folds: int,
    repeats: int,
    seed: int,
    learners: Mapping[str, Learner] = USUAL,
    x_for: Callable[[np.ndarray], FloatArray] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Candidate]:
    """Return every learner with its out-of-sample value; `tell` hears of progress.

    `x_for` encodes all rows anew for each fold's training rows (a mask [n]), where an encoding learns from outcomes.

    Raises
    ------
    NotEnoughData : no learner at all could be fitted.
    """
    encoded = x_for or (lambda _: x)
    fitted: dict[str, tuple[FloatArray, FloatArray] | str] = {}
    for name, learner in learners.items():
        tell(name)
        try:
            fitted[name] = _out_of_fold(
                learner, data, encoded, features, programme, folds=folds, repeats=repeats, seed=seed
            )
        except NotEnoughData as error:
            fitted[name] = str(error)
    predicted = {name: found for name, found in fitted.items() if not isinstance(found, str)}
    if not predicted:
        raise NotEnoughData("Expected at least one learner to fit, none did: " + "; ".join(map(str, fitted.values())))
    q_hat = predicted.get(REFERENCE, next(iter(predicted.values())))[1]
    return [
        _candidate(learners[name], found, data, np.where(data.allowed, q_hat, 0.0)) for name, found in fitted.items()
    ]


def _candidate(
    learner: Learner, found: tuple[FloatArray, FloatArray] | str, data: Dataset, q_hat: FloatArray
) -> Candidate:
    if isinstance(found, str):
        nothing = np.zeros(0)
        return Candidate(learner.name, learner.complexity, nothing, nothing, nothing, failure=found)
    odds, value = found
    return Candidate(learner.name, learner.complexity, odds, value, policy_terms(data, greedy(value), q_hat))


def greedy(value: FloatArray) -> FloatArray:
    """Return the policy of highest value as a distribution, [n, K]; control (first) wins ties."""
    target = np.zeros(value.shape)
    target[np.arange(len(value)), value.argmax(axis=1)] = 1.0
    return target


def policy_terms(data: Dataset, target: FloatArray, q_hat: FloatArray) -> FloatArray:
    """Return doubly robust terms [n] whose mean is the value of policy `target` [n, K]."""
    rounds = Rounds(data.action, data.value, data.propensity, target, q_hat)
    return Dr().terms(rounds)


def fold_of(data: Dataset, *, folds: int, seed: int) -> np.ndarray:
    """Return a fold number for each decision, shape [n], the same for all decisions of a customer."""
    return np.array([int(folds * uniform("fold", str(seed), d.customer_id)) for d in data.decisions])


def _out_of_fold(
    learner: Learner,
    data: Dataset,
    x_for: Callable[[np.ndarray], FloatArray],
    features: ActionFeatures,
    programme: Programme,
    *,
    folds: int,
    repeats: int,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    odds = np.zeros((repeats, *data.allowed.shape))
    value = np.zeros_like(odds)
    for r in range(repeats):
        fold = fold_of(data, folds=folds, seed=seed + r)
        for f in range(folds):
            train, test = fold != f, fold == f
            x = x_for(train)
            fitted = learner.fit(Rows(x[train], data.action[train], data.repurchased[train], features), seed=seed + r)
            models = fit_components(data.where(train), x[train], features, seed=seed + r)
            predicted = fitted.predict(x[test], in_sample=False)
            odds[r, test] = predicted
            value[r, test] = values(programme, data.where(test), models.predict(x[test], predicted))
    return odds.mean(axis=0), value.mean(axis=0)


def choose(candidates: list[Candidate]) -> tuple[Candidate, str]:
    """Return the candidate to serve, and the sentence why.

    The reference shrinks towards doing the same for everybody by itself, so it is kept unless another one's
    policy beats it by two standard errors of the paired difference; then the simplest of those within one standard
    error of the best is taken. Where the reference could not be fitted, the simplest stands in for it.
    """
    usable = sorted((c for c in candidates if not c.failure), key=lambda c: (c.name != REFERENCE, c.complexity))
    reference, best = usable[0], max(usable, key=lambda c: c.mean)
    if best is reference:
        return reference, f"{reference.name} has the highest value out of sample ({reference.mean:.4f} per decision)"
    lead, error = _lead(best, reference)
    figures = f"{best.mean:.4f} against {reference.mean:.4f} per decision, standard error of the difference {error:.4f}"
    if lead <= 2.0 * error:
        return reference, f"{best.name} does not beat {reference.name} by two standard errors ({figures})"
    because = f"{best.name} beats {reference.name} by more than two standard errors ({figures})"
    for simpler in sorted(usable[1:], key=lambda c: c.complexity):
        short, doubt = _lead(best, simpler)
        if simpler.complexity < best.complexity and short <= doubt and simpler.mean > reference.mean:
            return simpler, f"{because}; {simpler.name} is simpler and within one standard error of it"
    return best, because


def _lead(one: Candidate, other: Candidate) -> tuple[float, float]:
    """Return by how much the policy of one is worth more than that of the other, and the standard error."""
    gap = one.terms - other.terms
    return float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap)))
