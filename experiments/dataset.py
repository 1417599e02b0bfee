"""Training data is what was served: contexts, actions, propensities and rewards, read from the ledger."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from decision.errors import NotEnoughData
from decision.flow.learn import teaches
from decision.ledger.base import Ledger, Rewarded
from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import ESTIMATED_PROPENSITY, BoolArray, ContextValue, Decision, FloatArray, IntArray, RewardStatus
from decision.stages.groups import is_held_out

END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Dataset:
    """n finished decisions; the catalogue holds K action ids, control first.

    All are of randomised traffic, but those marked `observational`, whose propensities are estimated.

    `action` [n] are places in the catalogue, `allowed` [n, K]; `value`, `revenue` and `margin` [n] in currency units;
    `value` is the reward under the goal that held, `margin` gross margin less what the offer cost.
    """

    catalogue: tuple[str, ...]
    decisions: tuple[Decision, ...]
    action: IntArray
    allowed: BoolArray
    propensity: FloatArray
    repurchased: FloatArray
    visited: FloatArray
    redeemed: FloatArray
    revenue: FloatArray
    value: FloatArray
    margin: FloatArray

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def contexts(self) -> list[dict[str, ContextValue]]:
        """Return the named context of each decision."""
        return [dict(decision.context) for decision in self.decisions]

    @property
    def customers(self) -> NDArray[np.str_]:
        """Return the customer id of each decision, shape [n]."""
        return np.array([decision.customer_id for decision in self.decisions])

    @property
    def observational(self) -> BoolArray:
        """Return which decisions nobody drew, shape [n]: their propensities are estimated."""
        return np.array([decision.observational for decision in self.decisions], dtype=bool)

    @property
    def ends_at(self) -> datetime:
        """Return the time of the last decision."""
        return max(decision.decided_at for decision in self.decisions)

    @property
    def sha256(self) -> str:
        """Return a hash over all that training reads: the same data give the same hash."""
        digest = hashlib.sha256()
        rewards = (self.repurchased, self.visited, self.redeemed, self.revenue, self.value)
        for decision, *reward in zip(self.decisions, *(column.tolist() for column in rewards), strict=True):
            asked = (decision.decision_id, decision.customer_id, decision.allowed, decision.distribution)
            row: tuple[object, ...] = (*asked, decision.action_id, decision.propensity, decision.context, reward)
            if decision.observational:
                row = (*row, decision.predictions)
            digest.update(msgspec.json.encode(row, order="sorted"))
        return digest.hexdigest()

    def where(self, keep: BoolArray) -> Dataset:
        """Return the decisions marked in `keep` [n]."""
        return Dataset(
            catalogue=self.catalogue,
            decisions=tuple(d for d, k in zip(self.decisions, keep.tolist(), strict=True) if k),
            action=self.action[keep],
            allowed=self.allowed[keep],
            propensity=self.propensity[keep],
            repurchased=self.repurchased[keep],
            visited=self.visited[keep],
            redeemed=self.redeemed[keep],
            revenue=self.revenue[keep],
            value=self.value[keep],
            margin=self.margin[keep],
        )

    def split(self, *, salt: str) -> tuple[Dataset, Dataset]:
        """Return (training set, evaluation set), split by a salted hash of the customer.

        A customer is on one side for good, so what a policy learned from her never judges it.
        """
        judges = {c: is_held_out(c, salt=salt) for c in {d.customer_id for d in self.decisions}}
        held_out = np.array([judges[d.customer_id] for d in self.decisions])
        return self.where(~held_out), self.where(held_out)


def read_dataset(
    ledger: Ledger,
    programme: Programme,
    *,
    progress: Callable[[Iterable[Rewarded]], Iterable[Rewarded]] = iter,
    observational: bool = False,
) -> Dataset:
    """Return all finished decisions that may teach: of the random group, of bundles, and imported trials.

    With `observational` also those of imported logs that nobody randomised: for training alone.

    Raises
    ------
    NotEnoughData : there are none.
    """
    catalogue = tuple(action.action_id for action in programme.actions)
    known = frozenset(catalogue)
    rows = [
        row
        for row in progress(ledger.rewarded())
        if (teaches(row.decision) or (observational and row.decision.observational))
        and row.reward.status is RewardStatus.FINAL
        and row.decision.action_id in known
    ]
    if not rows:
        raise NotEnoughData(
            "Expected finished decisions of the random group or of a promoted policy, found none.",
            hint="Import a past trial with `encore import trial`, or serve until rewards are final. A log with "
            "estimated propensities trains models, and judges nothing.",
        )
    seen = frozenset(a for row in rows for a in row.decision.allowed if a in known)
    return _dataset(rows, tuple(a for a in catalogue if a in seen))


def training_set(ledger: Ledger, programme: Programme) -> Dataset:
    """Return what a challenger is trained on: decisions between several actions, of customers who don't judge it.

    Who may get nothing but control differs from others in more than that: she would make every offer look good. In
    judging policies such decisions stay, where they add the same to each.

    Nothing is weighted. Chances depend on the context and on what was allowed, and the context holds what of the
    customer that depends on (consent, recent contacts, basket, store), so a model of the outcome given context and
    action is unbiased as far as its form is right; inverse propensities would only add variance. Quiet hours and spent
    budgets are not in the context: they are taken not to tell customers apart.

    It ends at the first unfinished decision, so that the bandit, which starts where training ended, learns that one
    and all after it, and none twice. Rows of an imported trial, final earlier than what was served at the same time,
    wait with them.

    Raises
    ------
    NotEnoughData : the ledger holds no finished decisions that teach.
    """
    # Asked first: a decision that finishes while the others are read must not fall between.
    unfinished = ledger.due(now=END_OF_TIME, limit=sys.maxsize)
    end = min((d.decided_at for d in unfinished if teaches(d)), default=END_OF_TIME)
    data, _ = read_dataset(ledger, programme, observational=True).split(salt=programme.salt)
    before = np.array([d.decided_at < end for d in data.decisions], dtype=bool)
    return data.where(before & (data.allowed.sum(axis=1) > 1))


def evaluation_set(ledger: Ledger, programme: Programme) -> Dataset:
    """Return what judges every challenger: all finished decisions that teach, of customers never trained on.

    Raises
    ------
    NotEnoughData : the ledger holds no finished decisions that teach.
    """
    return read_dataset(ledger, programme).split(salt=programme.salt)[1]


def _dataset(rows: list[Rewarded], catalogue: tuple[str, ...]) -> Dataset:
    place = {action_id: k for k, action_id in enumerate(catalogue)}
    allowed = np.zeros((len(rows), len(catalogue)), dtype=bool)
    for i, row in enumerate(rows):
        allowed[i, [place[a] for a in row.decision.allowed if a in place]] = True
    rewards = [row.reward for row in rows]
    return Dataset(
        catalogue=catalogue,
        decisions=tuple(row.decision for row in rows),
        action=np.array([place[row.decision.action_id] for row in rows]),
        allowed=allowed,
        propensity=np.array([_propensity(row.decision, place) for row in rows]),
        repurchased=np.array([float(r.repurchased) for r in rewards]),
        visited=np.array([float(r.visited) for r in rewards]),
        redeemed=np.array([float(r.redeemed) for r in rewards]),
        revenue=np.array([r.revenue_micros / MICROS for r in rewards]),
        value=np.array([r.value_micros / MICROS for r in rewards]),
        margin=np.array([(r.margin_micros - r.cost_micros) / MICROS for r in rewards]),
    )


def _propensity(decision: Decision, place: Mapping[str, int]) -> float:
    """Return the probability of the logged action among the allowed ones that the programme still has.

    Decisions for an action that was dropped are left out, so that the others hold all the probability. It is divided
    by what they hold, not by what the dropped ones leave: a sum of parts is never below one of them, also rounded.
    """
    chances: Mapping[str, float] = dict(zip(decision.allowed, decision.distribution, strict=True))
    if decision.observational:
        estimated = decision.predictions[ESTIMATED_PROPENSITY]
        chances = {a: float(e or 0.0) for a, e in zip(decision.allowed, estimated, strict=True)}
    own = chances[decision.action_id] if decision.observational else decision.propensity
    return own / sum(chance for action_id, chance in chances.items() if action_id in place)
