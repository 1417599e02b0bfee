"""How often a product or department is complained of: shares that three reviews can't swing, with intervals.

The share of a product is Beta distributed around that of its department; how far products differ is estimated from
all of them (empirical Bayes: Efron and Morris 1975). A verdict needs the posterior, not the raw share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from decision.records import FloatArray, IntArray

FEWEST_REVIEWS = 8
FEWEST_COMPLAINTS = 3.0
CERTAIN = 0.95
LOOSEST, TIGHTEST = 2.0, 2_000.0


class Verdict(StrEnum):
    """What can be said of a product: worse than the shop by the factor that was asked for, or not, or nothing yet."""

    PROBLEM = "problem"
    FINE = "no problem shown"
    UNKNOWN = "not enough data"


@dataclass(frozen=True, slots=True)
class Rates:
    """G groups: reviews, complaints, the posterior mean of the share with its 95 % interval, and P(share > limit)."""

    reviews: IntArray
    complaints: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray
    beyond: FloatArray

    def verdict(self, group: int) -> Verdict:
        """Return the verdict on one group."""
        if self.reviews[group] < FEWEST_REVIEWS:
            return Verdict.UNKNOWN
        is_problem = self.beyond[group] >= CERTAIN and self.complaints[group] >= FEWEST_COMPLAINTS
        return Verdict.PROBLEM if is_problem else Verdict.FINE


def rates(group: IntArray, complaint: FloatArray, *, prior_share: FloatArray, limit: float) -> Rates:
    """Return the rates of groups numbered 0 … G - 1.

    Parameters
    ----------
    group : [R], the group of each review.
    complaint : [R], 1 for a complaint, 0 for none, a probability where nobody knows.
    prior_share : [G], what is expected of a group before its reviews are seen.
    limit : the share beyond which a group is a problem.
    """
    from scipy.stats import beta

    n = len(prior_share)
    reviews = np.bincount(group, minlength=n)
    complaints = np.bincount(group, weights=complaint, minlength=n).astype(np.float64)
    mean = np.clip(prior_share, 1e-6, 1.0 - 1e-6)
    strength = prior_strength(reviews, complaints, mean)
    a, b = mean * strength + complaints, (1.0 - mean) * strength + reviews - complaints
    return Rates(
        reviews=reviews,
        complaints=complaints,
        share=a / (a + b),
        low=beta.ppf(0.025, a, b),
        high=beta.ppf(0.975, a, b),
        beyond=beta.sf(limit, a, b),
    )


def prior_strength(reviews: IntArray, complaints: FloatArray, mean: FloatArray) -> float:
    """Return how many reviews the prior is worth: the likeliest between 2 and 2,000 (beta-binomial)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import betaln

    seen = reviews > 0
    n, x, m = reviews[seen], complaints[seen], mean[seen]

    def unlikelihood(log_strength: float) -> float:
        strength = np.exp(log_strength)
        a, b = m * strength, (1.0 - m) * strength
        return -float((betaln(a + x, b + n - x) - betaln(a, b)).sum())

    found = minimize_scalar(unlikelihood, bounds=(np.log(LOOSEST), np.log(TIGHTEST)), method="bounded")
    return float(np.exp(found.x))
