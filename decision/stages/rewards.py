"""Rewards: what a decision brought inside its window, net of refunds, as a pure function of the outcomes.

Intention to treat: every order of the customer inside the window counts, whether or not the offer was used; the
order that triggered the decision does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from decision.money import MICROS
from decision.programme.model import Goal, Programme
from decision.records import Decision, Outcome, Reward, RewardStatus
from decision.stages.events import (
    COUPON_APPLIED,
    COUPON_REMOVED,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    VISITS,
)


@dataclass(slots=True)
class _Order:
    """An order inside the window. `gross` is revenue before discounts; `kept` the share that was not refunded."""

    at: datetime
    gross_micros: int
    revenue_micros: int
    margin_micros: int | None
    redeemed: bool
    refunded_micros: int = 0
    cancelled: bool = False

    @property
    def kept(self) -> float:
        if self.cancelled or self.revenue_micros <= 0:
            return 0.0 if self.cancelled else 1.0
        return max(1.0 - self.refunded_micros / self.revenue_micros, 0.0)


def reward_of(decision: Decision, outcomes: Iterable[Outcome], *, programme: Programme, now: datetime) -> Reward:
    """Return the reward of a decision from all outcomes of its customer after it; others are ignored.

    Orders count when they occur in (decided_at, window_ends_at], as it was when the decision was made. Refunds and
    cancellations of those orders count whenever they come. A fully refunded order is no repurchase; the flat cost of
    its redemption remains.
    """
    end = decision.window_ends_at or programme.window_ends_at(decision.decided_at)
    orders: dict[str, _Order] = {}
    coupon_held: dict[str, bool] = {}
    visited = False
    ordered = sorted(outcomes, key=lambda o: (o.name != ORDER_COMPLETED, o.occurred_at, o.message_id))
    for outcome in ordered:
        order_id = str(outcome.properties.get("order_id", ""))
        inside = decision.decided_at < outcome.occurred_at <= end and order_id != decision.order_id
        visited = visited or (inside and outcome.name in VISITS)
        if outcome.name == ORDER_COMPLETED and inside and order_id not in orders:
            orders[order_id] = _order(outcome, decision)
        elif outcome.name in (COUPON_APPLIED, COUPON_REMOVED) and inside and _used(outcome, decision):
            coupon_held[order_id] = outcome.name == COUPON_APPLIED
        elif outcome.name == ORDER_REFUNDED and order_id in orders:
            full = orders[order_id].revenue_micros
            orders[order_id].refunded_micros += outcome.properties.get("revenue_micros", full)
        elif outcome.name == ORDER_CANCELLED and order_id in orders:
            orders[order_id].cancelled = True
    for order_id, held in coupon_held.items():
        if held and order_id in orders:
            orders[order_id].redeemed = True
    status = RewardStatus.FINAL if now >= decision.matures_at else RewardStatus.PROVISIONAL
    return _totals(decision, tuple(orders.values()), visited, status, programme=programme, now=now)


def _order(outcome: Outcome, decision: Decision) -> _Order:
    facts = outcome.properties
    revenue = facts["revenue_micros"]
    return _Order(
        at=outcome.occurred_at,
        gross_micros=revenue + facts.get("discount_micros", 0),
        revenue_micros=revenue,
        margin_micros=facts.get("margin_micros"),
        redeemed=_used(outcome, decision),
    )


def _used(outcome: Outcome, decision: Decision) -> bool:
    facts = outcome.properties
    # Segment names the code `coupon` in an order, `coupon_id` and `coupon_name` in coupon events.
    codes = [facts.get(name) for name in ("coupon", "coupon_id", "coupon_name")]
    return (decision.coupon is not None and decision.coupon in codes) or (
        facts.get("decision_id") == decision.decision_id
    )


def _totals(
    decision: Decision,
    orders: tuple[_Order, ...],
    visited: bool,
    status: RewardStatus,
    *,
    programme: Programme,
    now: datetime,
) -> Reward:
    revenue = margin = 0
    cost = decision.contact_cost_micros
    for order in orders:
        kept_gross = round(order.gross_micros * order.kept)
        revenue += kept_gross
        full_margin = round(order.gross_micros * programme.gross_margin)
        if order.margin_micros is not None:
            full_margin = order.margin_micros
        margin += round(full_margin * order.kept)
        if order.redeemed and not order.cancelled:
            cost += decision.redemption_cost_micros + round(decision.redemption_share * kept_gross)
    repurchased = any(order.kept > 0.0 for order in orders)
    return Reward(
        decision_id=decision.decision_id,
        status=status,
        visited=visited,
        repurchased=repurchased,
        redeemed=any(order.redeemed and order.kept > 0.0 for order in orders),
        revenue_micros=revenue,
        margin_micros=margin,
        cost_micros=cost,
        value_micros=value_micros(
            programme.goal_of(decision.store),
            revenue=revenue,
            margin=margin,
            visited=visited,
            repurchased=repurchased,
            cost=cost,
        ),
        computed_at=now,
        first_order_at=min((order.at for order in orders if order.kept > 0.0), default=None),
    )


def value_micros(goal: Goal, *, revenue: int, margin: int, visited: bool, repurchased: bool, cost: int) -> int:
    """Return the scalar reward in micros under a goal; money arguments in micros."""
    worth = goal.profit * margin + goal.revenue * revenue
    worth += MICROS * (goal.traffic * visited + goal.loyalty * repurchased)
    return round(worth) - cost
