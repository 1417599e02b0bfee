"""The use case: time passes. Rewards mature and are reversed by refunds; budgets of expired offers come back.

A reward is read, computed and written in steps: whoever calls this sees to it that nobody else does meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from decision.ledger.base import Ledger, Settlement
from decision.programme.model import Programme
from decision.records import Decision, Reward, RewardStatus
from decision.stages.rewards import reward_of

CURSOR = "rewards"
BATCH = 1_000
# Refunds of an order inside the window count whenever they come; a year bounds the search.
LATE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rewards were written, and how many offers expired."""

    rewards: int = 0
    expired: int = 0

    def plus(self, other: Swept) -> Swept:
        """Return both together."""
        return Swept(self.rewards + other.rewards, self.expired + other.expired)


def sweep(*, programme: Programme, ledger: Ledger, now: datetime) -> Swept:
    """Bring rewards and budgets up to date with everything that was observed up to `now`."""
    total = Swept()
    while True:
        position = ledger.cursor(CURSOR)
        touched, last = ledger.touched(after=position, limit=BATCH)
        total = total.plus(Swept(rewards=_write(touched, programme=programme, ledger=ledger, now=now)))
        if last == position:
            break
        ledger.move_cursor(CURSOR, last)
    while due := ledger.due(now=now, limit=BATCH):
        total = total.plus(Swept(rewards=_write(due, programme=programme, ledger=ledger, now=now)))
    while expired := ledger.expired(now=now, limit=BATCH):
        ledger.close_reservations([_settlement(d, ledger.reward(d.decision_id)) for d in expired])
        total = total.plus(Swept(expired=len(expired)))
    return total


def _write(decisions: Iterable[Decision], *, programme: Programme, ledger: Ledger, now: datetime) -> int:
    rewards: list[Reward] = []
    settlements: list[Settlement] = []
    for decision in decisions:
        if decision.imported:
            continue
        outcomes = ledger.outcomes_of(decision.customer_id, start=decision.decided_at, end=decision.matures_at + LATE)
        reward = reward_of(decision, outcomes, programme=programme, now=now)
        before = ledger.reward(decision.decision_id)
        if before is not None and before.status is RewardStatus.FINAL:
            # Final for good, also when a clock is set back: nothing would ever make it final again.
            reward = replace(reward, status=RewardStatus.FINAL)
        if before is not None and replace(before, computed_at=now) == reward:
            continue
        rewards.append(reward)
        # While an offer runs and is unused, what was reserved for it stands.
        if _was_used(reward, decision) or (before is not None and _was_used(before, decision)):
            settlements.append(_settlement(decision, reward))
    ledger.record_rewards(rewards, settlements)
    return len(rewards)


def _was_used(reward: Reward, decision: Decision) -> bool:
    # A redeemed order that was refunded is no redemption any more, but what it cost remains.
    return reward.redeemed or reward.cost_micros != decision.contact_cost_micros


def _settlement(decision: Decision, reward: Reward | None) -> Settlement:
    if reward is None:
        return Settlement(decision.decision_id, decision.contact_cost_micros, keep_count=False)
    return Settlement(decision.decision_id, reward.cost_micros, keep_count=reward.redeemed)
