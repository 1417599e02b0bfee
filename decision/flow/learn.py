"""The use case: the bandit learns from rewards that are final.

Decisions are learned in buckets of one day of decision time, once the whole bucket has matured; inside a bucket
in the order of the decision id. The belief is therefore a function of the ledger's content alone: replaying gives
the same numbers, whatever the order in which outcomes arrived. A refund after a reward was final, an import, or a
window that was changed meanwhile alter what a bucket holds: the belief is then learned anew from its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from decision.bundle.models import UpliftModel, uplift_model_from
from decision.bundle.store import Bundle, pack, unpack
from decision.ledger.base import Ledger, PosteriorRecord, Rewarded
from decision.policies.action_features import ActionFeatures
from decision.policies.posterior import Posterior, logit
from decision.programme.model import Programme
from decision.records import Decision, FloatArray, Group
from decision.serving import NO_BUNDLE, action_features, base_posterior, posterior_arrays, posterior_from
from decision.stages.context import Encoder

BUCKET = timedelta(days=1)


def teaches(decision: Decision) -> bool:
    """Return whether a decision may be learned from and may judge policies, online and offline.

    The random group and imported trials (which are in it) always; the policy group only where a bundle decided.
    Before the first promotion it gets the shop's own rule, with certainty: that says nothing of other actions. What
    was answered because of a fault is not in the ledger.
    """
    return decision.group is Group.RANDOM or (decision.group is Group.POLICY and decision.policy_version != NO_BUNDLE)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a round of learning did: outcomes and buckets taken in, and whether it started anew."""

    outcomes: int
    buckets: int
    replayed: bool


def learn(bundle: Bundle, *, programme: Programme, ledger: Ledger, now: datetime) -> Learned:
    """Bring the belief of a bundle's bandit up to date with all buckets that are mature at `now`.

    Which decisions it learns from `teaches` says. A bundle without a bandit learns nothing.
    """
    if bundle.manifest.policy != "thompson":
        return Learned(0, 0, replayed=False)
    student = Student.of(bundle)
    stored = ledger.posterior(bundle.version)
    cursor = f"learn:{bundle.version}"
    start, posterior = bundle.manifest.trained_through, base_posterior(bundle)
    revised, position = ledger.revised_since(ledger.cursor(cursor), start=start)
    replayed = stored is not None and revised is not None and revised < stored.through
    if stored is not None and not replayed:
        start, posterior = stored.through, posterior_from(unpack(stored.data))
    begun, before, buckets = start, posterior.n, 0
    while programme.matures_at(start + BUCKET) <= now:
        rows = [row for row in ledger.finished(start=start, end=start + BUCKET) if student.takes(row)]
        posterior = student.taught(posterior, rows)
        start, buckets = start + BUCKET, buckets + 1
    if start > begun or replayed:
        data = pack(posterior_arrays(posterior))
        ledger.record_posterior(PosteriorRecord(bundle.version, 0, start, posterior.n, data))
    ledger.move_cursor(cursor, position)
    return Learned(posterior.n - before, buckets, replayed)


@dataclass(frozen=True, slots=True)
class Student:
    """Turns rewarded decisions into the bandit's rows: features, prior log-odds, outcome."""

    encoder: Encoder
    model: UpliftModel
    features: ActionFeatures
    index: dict[str, int]

    @staticmethod
    def of(bundle: Bundle) -> Student:
        """Return the student of a bundle."""
        manifest = bundle.manifest
        encoder = Encoder(manifest.columns)
        return Student(
            encoder=encoder,
            model=uplift_model_from(manifest.heads, bundle.arrays),
            features=action_features(manifest, encoder),
            index={action_id: k for k, action_id in enumerate(manifest.actions)},
        )

    def takes(self, row: Rewarded) -> bool:
        """Return whether a decision teaches this bandit: one between several of the actions that it knows.

        Who may get nothing but control differs from others in more than that, see `experiments.dataset`.
        """
        decision = row.decision
        known = sum(action_id in self.index for action_id in decision.allowed)
        return teaches(decision) and decision.action_id in self.index and known > 1

    def taught(self, posterior: Posterior, rows: Sequence[Rewarded]) -> Posterior:
        """Return the belief after the rows, in one Laplace step over all of them."""
        if not rows:
            return posterior
        x = np.array([self.encoder.encode(row.decision.context) for row in rows])
        index = np.array([self.index[row.decision.action_id] for row in rows])
        return posterior.updated(
            design=self.features.design(index, x),
            offset=self.prior_log_odds(x, index),
            outcome=np.array([float(row.reward.repurchased) for row in rows]),
        )

    def prior_log_odds(self, x: FloatArray, index: np.ndarray) -> FloatArray:
        """Return the uplift model's log-odds for each row's action, shape [n]."""
        odds = [self.model.repurchase.predict(row)[k] for row, k in zip(x, index, strict=True)]
        return logit(np.array(odds))
