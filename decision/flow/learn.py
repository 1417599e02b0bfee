"""The use case: the bandit learns from rewards that are final, and looks ahead with those that are not yet.

Decisions are learned in buckets of one day of decision time, once the whole bucket has matured; inside a bucket
in the order of the decision id. The belief is therefore a function of the ledger's content alone: replaying gives
the same numbers, whatever the order in which outcomes arrived. A refund after a reward was final, an import, or a
window that was changed meanwhile alter what a bucket holds: the belief is then learned anew from its start.

What is served goes further: decisions whose rewards are not final are taken for what they show by now, given how long
customers take. That part is made anew every hour and never kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain

import numpy as np

from decision.bundle.models import UpliftModel, uplift_model_from
from decision.bundle.store import Bundle, pack, unpack
from decision.ledger.base import Ledger, PosteriorRecord, Rewarded
from decision.ledger.retention import GONE
from decision.policies.action_features import ActionFeatures, PriorScales
from decision.policies.belief import Belief, Prior
from decision.policies.posterior import Posterior, logit
from decision.programme.model import Programme
from decision.programme.read import LOOK_BACK_DAYS
from decision.records import Decision, FloatArray, Group
from decision.serving import NO_BUNDLE, action_features, base_posterior, posterior_arrays, posterior_from
from decision.stages.context import Encoder
from decision.stages.delay import LEAST_SEEN, Delay
from decision.stages.hashing import uniform

BUCKET = timedelta(days=1)
# Decisions whose rewards are not final are looked at so often, and at most so many of them.
REVIEW = timedelta(hours=1)
MOST_OPEN = 50_000
# How long customers take is told by the decisions of so long before.
LOOK_BACK = timedelta(days=LOOK_BACK_DAYS)


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
    if not bundle.manifest.has_bandit:
        return Learned(0, 0, replayed=False)
    student = Student.of(bundle)
    stored = ledger.posterior(bundle.version)
    before = None if stored is None else unpack(stored.data)
    cursor = f"learn:{bundle.version}"
    start, belief = bundle.manifest.trained_through, student.start(base_posterior(bundle))
    revised, position = ledger.revised_since(ledger.cursor(cursor), start=start)
    # A belief that an older Encore kept, without two memories or what they know of the prior, is learned anew as well.
    anew = before is not None and "revised" not in before
    # Where decisions have gone by the shop's limit, what they taught stays: without them less would be learned anew.
    whole = start.timestamp() >= ledger.cursor(GONE)
    replayed = stored is not None and (anew or (whole and revised is not None and revised < stored.through))
    if stored is not None and before is not None and not replayed:
        start, belief = stored.through, _belief_from(before, belief.prior)
    begun, known, buckets = start, belief.seen, 0
    while programme.matures_at(start + BUCKET) <= now:
        rows = [row for row in ledger.finished(start=start, end=start + BUCKET) if student.takes(row.decision)]
        belief = student.taught(belief, rows)
        start, buckets = start + BUCKET, buckets + 1
    hour = int(now.timestamp() // REVIEW.total_seconds())
    if start > begun or replayed or hour > ledger.cursor(f"{cursor}:open"):
        served = _with_open(belief, student, programme, ledger, start=start, now=now)
        data = pack(_arrays(belief, served))
        news = start > begun or served is not belief.lasting
        if replayed or (news if stored is None else (start, data) != (stored.through, stored.data)):
            ledger.record_posterior(PosteriorRecord(bundle.version, 0, start, served.n, data))
        ledger.move_cursor(f"{cursor}:open", hour)
    ledger.move_cursor(cursor, position)
    return Learned(belief.seen - known, buckets, replayed)


def _with_open(
    belief: Belief, student: Student, programme: Programme, ledger: Ledger, *, start: datetime, now: datetime
) -> Posterior:
    """Return what to serve: the lasting memory, and what decisions show whose rewards are not final.

    They are not learned: each time they are looked at afresh, so that a refund takes back what an order said.
    """
    window = timedelta(days=programme.attribution_window_days)
    delay = Delay.of(ledger.waits(start=start - LOOK_BACK, end=now))
    if delay is None:
        return belief.lasting
    # A large shop has more open decisions than fit into memory, and than it takes to know what they show.
    kept = MOST_OPEN / max(ledger.counts()["unfinished"], MOST_OPEN)
    rows = ((row.decision, row.reward) for row in ledger.finished(start=start, end=now))
    seen = [
        (decision, reward is not None and reward.repurchased)
        for decision, reward in chain(rows, ledger.unfinished(start=start))
        if student.takes(decision) and (kept == 1.0 or uniform("open", decision.decision_id) < kept)
    ]
    ages = np.array([(now - decision.decided_at).total_seconds() for decision, _ in seen])
    share = delay.seen(ages, window)
    told = [(*item, s) for item, s in zip(seen, share.tolist(), strict=True) if s >= LEAST_SEEN]
    if not told:
        return belief.lasting
    design, offset = student.rows([decision for decision, _, _ in told])
    outcome = np.array([float(bought) for _, bought, _ in told])
    served = belief.lasting.updated(design, offset, outcome, seen=np.array([s for _, _, s in told]))
    return replace(served, n=belief.lasting.n)


def _arrays(belief: Belief, served: Posterior) -> dict[str, FloatArray]:
    """Return a belief and what is served of it as arrays."""
    return {
        **posterior_arrays(served),
        **posterior_arrays(belief.lasting, name="lasting"),
        **posterior_arrays(belief.recent, name="recent"),
        "lead": np.array(belief.lead),
        "variance": belief.variance,
        "seen": np.array(float(belief.seen)),
        "revised": np.array(float(belief.revised)),
    }


def _belief_from(arrays: Mapping[str, FloatArray], prior: Prior) -> Belief:
    lasting, recent = (posterior_from(arrays, name=name) for name in ("lasting", "recent"))
    lead, seen, revised = float(arrays["lead"]), int(arrays["seen"]), int(arrays["revised"])
    return Belief(lasting, recent, prior, arrays["variance"], lead, seen, revised)


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

    def start(self, posterior: Posterior) -> Belief:
        """Return the belief to start from."""
        return Belief.start(posterior, self.features.prior(PriorScales()))

    def takes(self, decision: Decision) -> bool:
        """Return whether a decision teaches this bandit: one between several of the actions that it knows.

        Who may get nothing but control differs from others in more than that, see `experiments.dataset`.
        """
        known = sum(action_id in self.index for action_id in decision.allowed)
        return teaches(decision) and decision.action_id in self.index and known > 1

    def taught(self, belief: Belief, rows: Sequence[Rewarded]) -> Belief:
        """Return the belief after the rows, in one Laplace step over all of them."""
        if not rows:
            return belief
        design, offset = self.rows([row.decision for row in rows])
        return belief.updated(design, offset, np.array([float(row.reward.repurchased) for row in rows]))

    def rows(self, decisions: Sequence[Decision]) -> tuple[FloatArray, FloatArray]:
        """Return features [n, P] of the actions taken, and the uplift model's log-odds of them [n]."""
        x = np.array([self.encoder.encode(decision.context) for decision in decisions])
        index = np.array([self.index[decision.action_id] for decision in decisions])
        odds = [self.model.repurchase.predict(row)[k] for row, k in zip(x, index, strict=True)]
        return self.features.design(index, x), logit(np.array(odds))
