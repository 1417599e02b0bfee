"""What the bandit believes, with two memories: one that keeps everything, one that forgets.

While nothing changes, the lasting memory predicts better, because it has seen more. When the shop, its customers or an
offer changes, the recent one does; once its lead in predicted likelihood is beyond chance, it takes over. The test is
a cumulative sum: Page, "Continuous inspection schemes" (1954). Forgetting is that of dynamic model averaging: Raftery,
Kárný and Ettler, "Online prediction under model uncertainty via dynamic model averaging" (2010).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from decision.policies.posterior import Posterior
from decision.records import FloatArray

# Outcomes per weight that the recent memory holds: enough to tell the weights from nothing.
MEMORY = 10.0
# By so much log-likelihood an outcome the lead shrinks, and so far it must come: a shift is seldom seen in noise.
DRIFT = 2e-4
CLEAR = 8.0
# After a shift the bandit explores as it did after so many outcomes per weight.
AFRESH = 20


@dataclass(frozen=True, slots=True)
class Belief:
    """`lasting` is what decides; `variance` [P] is the prior's; `lead` is how far the recent memory predicts better.

    `seen` counts the outcomes learned since the start.
    """

    lasting: Posterior
    recent: Posterior
    variance: FloatArray
    lead: float = 0.0
    seen: int = 0

    @staticmethod
    def start(posterior: Posterior, variance: FloatArray) -> Belief:
        """Return the belief that has nothing but a posterior to start from."""
        return Belief(posterior, posterior, variance)

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
            taken = replace(recent, n=min(recent.n, AFRESH * len(self.variance)))
            return Belief(taken, recent, self.variance, 0.0, self.seen + len(outcome))
        lasting = self.lasting.updated(design, offset, outcome)
        return Belief(lasting, recent, self.variance, lead, self.seen + len(outcome))

    def _faded(self, n: int) -> Posterior:
        """Return the recent memory as n outcomes later it would be without them: less sure, and no other."""
        kept = float(np.exp(-n / (MEMORY * len(self.variance))))
        precision = kept * self.recent.precision
        precision[np.diag_indices(len(self.variance))] += (1.0 - kept) / self.variance
        return replace(self.recent, precision=precision)
