"""What the bandit believes, with two memories: one that keeps everything, one that forgets.

While nothing changes, the lasting memory predicts better, because it has seen more. When the shop, its customers or an
offer changes, the recent one does; once its lead in predicted likelihood is beyond chance, it takes over. The test is
a cumulative sum: Page, "Continuous inspection schemes" (1954). Forgetting is that of dynamic model averaging: Raftery,
Kárný and Ettler, "Online prediction under model uncertainty via dynamic model averaging" (2010).

Of what customers' facts change about offers and channels, a little is large and most is nothing. Those weights have a
Student-t prior, kept as a variance for each that is learned now and then by expectation maximisation: Tipping, "Sparse
Bayesian learning and the relevance vector machine" (2001).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from decision.policies.posterior import Posterior
from decision.records import BoolArray, FloatArray

# Outcomes per weight that the recent memory holds: enough to tell the weights from nothing.
MEMORY = 10.0
# By so much log-likelihood an outcome the lead shrinks, and so far it must come: a shift is seldom seen in noise.
DRIFT = 2e-4
CLEAR = 8.0
# After a shift the bandit explores as it did after so many outcomes per weight.
AFRESH = 20
# Variances are learned first after so many outcomes, and again when there are so many times as many.
FIRST, GROWTH = 300, 1.3
ROUNDS = 4
# Degrees of freedom of the prior of weights of which few are large: Cauchy's.
TAILS = 1.0


@dataclass(frozen=True, slots=True)
class Prior:
    """How large weights are expected to be: `variance` [P], and `few` [P] marks those of which few are large."""

    variance: FloatArray
    few: BoolArray

    @staticmethod
    def normal(variance: FloatArray) -> Prior:
        """Return a prior under which all weights are about as large as expected."""
        return Prior(variance, np.zeros(len(variance), dtype=bool))


@dataclass(frozen=True, slots=True)
class Belief:
    """`lasting` is what decides; `lead` is how far the recent memory predicts better.

    `variance` [P] is the prior's as learned when `revised` outcomes had been seen; `seen` counts them since the start.
    """

    lasting: Posterior
    recent: Posterior
    prior: Prior
    variance: FloatArray
    lead: float = 0.0
    seen: int = 0
    revised: int = 0

    @staticmethod
    def start(posterior: Posterior, prior: Prior) -> Belief:
        """Return the belief that has nothing but a posterior to start from."""
        return Belief(posterior, posterior, prior, prior.variance)

    def updated(self, design: FloatArray, offset: FloatArray, outcome: FloatArray) -> Belief:
        """Return the belief after [n] more outcomes; see `Posterior.updated`, which raises what this does."""
        if len(outcome) == 0:
            return self
        lead = self.recent.log_likelihood(design, offset, outcome) - self.lasting.log_likelihood(
            design, offset, outcome
        )
        lead = max(self.lead + lead - DRIFT * len(outcome), 0.0)
        recent = self._faded(len(outcome)).updated(design, offset, outcome)
        if lead > CLEAR:
            lead, lasting = 0.0, replace(recent, n=min(recent.n, AFRESH * len(self.variance)))
        else:
            lasting = self.lasting.updated(design, offset, outcome)
        after = replace(self, lasting=lasting, recent=recent, lead=lead, seen=self.seen + len(outcome))
        return after._revised() if after.seen >= max(FIRST, GROWTH * self.revised) else after

    def _revised(self) -> Belief:
        """Return the belief with variances learned from how large its weights turned out to be."""
        if not self.prior.few.any():
            return self
        lasting, variance = self.lasting, self.variance
        for _ in range(ROUNDS):
            second = lasting.mean**2 + np.diag(np.linalg.inv(lasting.precision))
            learned = (second + TAILS * self.prior.variance) / (1.0 + TAILS)
            after = np.where(self.prior.few, learned, variance)
            lasting, variance = lasting.under(after, before=variance), after
        recent = self.recent.under(variance, before=self.variance)
        return replace(self, lasting=lasting, recent=recent, variance=variance, revised=self.seen)

    def _faded(self, n: int) -> Posterior:
        """Return the recent memory as n outcomes later it would be without them: less sure, and no other."""
        kept = float(np.exp(-n / (MEMORY * len(self.variance))))
        precision = kept * self.recent.precision
        precision[np.diag_indices(len(self.variance))] += (1.0 - kept) / self.variance
        return replace(self.recent, precision=precision)
