"""Encore's own customers as units: one row each, over a window from her first decision.

Rewards of decisions overlap, as an order lies in the windows of several, and a customer who was won over has more of
them. So orders are counted here once, from the first decision on, which comes before any treatment: groups are compared
as they were drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from decision.errors import NotEnoughData
from decision.ledger.base import Ledger, Rewarded
from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import Decision, Outcome, RewardStatus
from decision.stages.events import ORDER_COMPLETED, ORDER_REFUNDED, UNSUBSCRIBED
from decision.stages.rewards import reward_of

GROUP = "group"
CLAIM = (
    "Groups are drawn by a salted hash of the customer before anything is known of her, so that the difference between "
    "groups is what the programme caused. Comparing customers by the action they got would not be: the policy "
    "chooses whom it treats."
)


@dataclass(slots=True)
class _Seen:
    first: Decision
    rewarded: list[Rewarded] = field(default_factory=list)


def customers(ledger: Ledger, programme: Programme, *, window_days: float, now: datetime) -> Any:
    """Return an Arrow table with a row for each customer whose window, and time for refunds, is over.

    Trials that were imported are left out. Money is in currency units; `cost` is what all her decisions of the window
    cost.

    Raises
    ------
    NotEnoughData : there is no such customer.
    """
    import pyarrow as pa

    refunds = timedelta(days=programme.refund_window_days)
    rows = []
    for seen in _by_customer(ledger.rewarded()).values():
        end = seen.first.decided_at + timedelta(days=window_days)
        if end + refunds <= now:
            rows.append(_row(seen, ledger, programme, end=end, now=now))
    if not rows:
        raise NotEnoughData(
            f"Expected customers whose {window_days:g} days, and {programme.refund_window_days:g} for refunds, are "
            "over, found none yet."
        )
    return pa.Table.from_pylist(rows)


def _by_customer(rewarded: Iterable[Rewarded]) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    for one in rewarded:
        decision = one.decision
        if decision.imported:
            continue
        seen = found.setdefault(decision.customer_id, _Seen(decision))
        seen.rewarded.append(one)
        if decision.decided_at < seen.first.decided_at:
            seen.first = decision
    return found


def _row(seen: _Seen, ledger: Ledger, programme: Programme, *, end: datetime, now: datetime) -> dict[str, Any]:
    first = seen.first
    told = ledger.outcomes_of(first.customer_id, start=first.decided_at, end=now)
    # The window as a whole, without a coupon: what offers cost is added from the decisions that made them.
    whole = replace(first, window_ends_at=end, matures_at=now, coupon=None, contact_cost_micros=0)
    reward = reward_of(whole, told, programme=programme, now=now)
    inside = [one for one in seen.rewarded if one.decision.decided_at <= end]
    cost = sum(one.reward.cost_micros for one in inside if one.reward.status is RewardStatus.FINAL)
    orders, returned = _orders(told, first, end)
    return {
        "customer_id": first.customer_id,
        GROUP: first.group.value,
        "store": first.store or "none",
        "trigger": first.trigger,
        "assigned_at": first.decided_at.date(),
        "decisions": len(inside),
        "visited": int(reward.visited),
        "repurchased": int(reward.repurchased),
        "redeemed": int(any(one.reward.redeemed for one in inside)),
        "orders": orders,
        "returned": returned,
        "unsubscribed": int(any(one.name == UNSUBSCRIBED and one.occurred_at <= end for one in told)),
        "revenue": reward.revenue_micros / MICROS,
        "margin": reward.margin_micros / MICROS,
        "cost": cost / MICROS,
        "net": (reward.margin_micros - cost) / MICROS,
    }


def _orders(told: Iterable[Outcome], first: Decision, end: datetime) -> tuple[int, int]:
    """Return how many orders of the window there are, and how many of them came back, whenever."""
    ids: dict[str, set[str]] = defaultdict(set)
    for one in told:
        if one.name == ORDER_REFUNDED or (one.name == ORDER_COMPLETED and one.occurred_at <= end):
            ids[one.name].add(str(one.properties["order_id"]))
    orders = ids[ORDER_COMPLETED] - {first.order_id}
    return len(orders), len(orders & ids[ORDER_REFUNDED])
