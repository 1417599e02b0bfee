"""Who got what in a log that nobody randomised: estimated propensities, and whether customers can be compared.

Trimming after Crump, Hotz, Imbens and Mitnik, "Dealing with limited overlap in estimation of average treatment effects"
(2009); balance by standardised mean differences, Austin (2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from decision.errors import EncoreError
from decision.records import ContextValue, FloatArray, IntArray
from experiments.encoding import encode_all, fit_encoder

FOLDS = 5
INVERSE_PENALTY = 1.0
# Of an action that nearly nobody like her got, the log tells nothing about her.
LEAST = 0.02
FEWEST_OF_AN_ACTION = 50
MOST_TRIMMED = 0.5
# Above it groups are usually called unbalanced.
BALANCED = 0.1


class NoOverlap(EncoreError):
    """The log can't compare its actions: customers who got one hardly ever got another."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The estimated propensities [n, K] of n rows, which rows to `keep` [n], and the balance by weighting.

    `before` and `after` give the fact with the largest standardised mean difference between those who got an action and
    everybody, over the rows that are kept.
    """

    propensity: FloatArray
    keep: np.ndarray
    before: tuple[str, float]
    after: tuple[str, float]

    def sentences(self) -> list[str]:
        """Return what was found, in words."""
        least = self.propensity.min(axis=1)
        shares = ", ".join(f"{100 * (least < edge).mean():.1f} % below {edge:g}" for edge in (0.01, LEAST))
        unbalanced = "" if self.after[1] <= BALANCED else f": more than {BALANCED:g}, so effects may be off"
        return [
            "observational: estimated propensities. They hold only if the features tell all that decided who got what.",
            f"overlap: smallest estimated propensity {shares}; {int((~self.keep).sum()):,} rows left out",
            f"balance: largest standardised mean difference {self.before[1]:.2f} ({self.before[0]}) as logged, "
            f"{self.after[1]:.2f} ({self.after[0]}) after weighting{unbalanced}",
        ]


def overlap(
    contexts: Sequence[Mapping[str, ContextValue]], action: IntArray, customers: Sequence[str], names: Sequence[str]
) -> Overlap:
    """Estimate who got what from the facts before the decision, cross-fitted by customer, and check it.

    `action` [n] are places in the K `names`. A row is kept where every action has a propensity of at least 0.02.

    Raises
    ------
    NoOverlap : an action has fewer than 50 rows, or half of all rows can't be compared.
    """
    counts = np.bincount(action, minlength=len(names))
    _enough(counts, names, "")
    encoder = fit_encoder(contexts)
    x = encode_all(encoder, contexts)
    propensity = _cross_fitted(x, action, np.unique(customers, return_inverse=True)[1], len(names))
    keep = propensity.min(axis=1) >= LEAST
    if keep.mean() < 1.0 - MOST_TRIMMED:
        rarest = names[int(np.argmax((propensity < LEAST).mean(axis=0)))]
        raise NoOverlap(
            f"Expected customers who might have got any of the actions, found that {100 * (~keep).mean():.0f} % of the "
            f"rows have an estimated propensity below {LEAST:g} for one of them, mostly {rarest}.",
            hint="The log can't tell what the others would have done to them. Map fewer arms, or only the customers "
            "among whom the choice was open.",
        )
    _enough(np.bincount(action[keep], minlength=len(names)), names, " with overlap")
    weight = 1.0 / propensity[np.arange(len(x)), action]
    ones = np.ones(int(keep.sum()))
    before, after = (_imbalance(x[keep], action[keep], w, len(names)) for w in (ones, weight[keep]))
    labels = encoder.labels
    return Overlap(propensity, keep, _worst(before, labels), _worst(after, labels))


def _enough(counts: IntArray, names: Sequence[str], where: str) -> None:
    short = np.flatnonzero(counts < FEWEST_OF_AN_ACTION)
    if len(short):
        raise NoOverlap(
            f"Expected at least {FEWEST_OF_AN_ACTION} rows{where} of every action, found {int(counts[short[0]])} of "
            f"{names[short[0]]}."
        )


def _cross_fitted(x: FloatArray, action: IntArray, member: IntArray, k: int) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    shares = np.bincount(action, minlength=k) / len(action)
    found = np.tile(shares, (len(x), 1))
    if x.shape[1] == 0:
        return found
    fold = np.random.default_rng(0).permutation(member.max() + 1)[member] % FOLDS
    for f in range(FOLDS):
        inside = fold == f
        if inside.any() and len(np.unique(action[~inside])) == k:
            model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1_000).fit(x[~inside], action[~inside])
            found[inside] = model.predict_proba(x[inside])
    return found


def _imbalance(x: FloatArray, action: IntArray, weight: FloatArray, k: int) -> FloatArray:
    """Return the largest standardised mean difference of each column over actions, [D]."""
    middle, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    means = [np.average(x[action == a], axis=0, weights=weight[action == a]) for a in range(k)]
    return np.asarray(np.abs((np.array(means) - middle) / spread).max(axis=0))


def _worst(difference: FloatArray, labels: Sequence[str]) -> tuple[str, float]:
    if not len(difference):
        return "no fact varies", 0.0
    at = int(difference.argmax())
    return labels[at], float(difference[at])
