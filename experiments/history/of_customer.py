"""What one customer's events say: her order lines, her contacts and what followed them, her visits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from decision.money import MICROS
from decision.records import CONTROL, Decision, Outcome, action_named
from decision.stages.events import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED, PROMOTION_CLICKED, VISITS
from experiments.history.products import UNKNOWN, Item, items_of, spread

PROMOTION_VIEWED = "Promotion Viewed"
Record = tuple[Any, ...]


@dataclass(slots=True)
class _Known:
    """An order as far as events have told: what it held, and how much of its money has not come back."""

    items: tuple[Item, ...]
    left_micros: int


@dataclass(frozen=True, slots=True)
class _Moved:
    """What an event moved: products, and money for them, below 0 when it was paid back."""

    items: Sequence[Item]
    micros: int
    channel: str | None
    cancelled_at: datetime | None


def lines_of(outcomes: Sequence[Outcome], decisions: Sequence[Decision]) -> Iterator[Record]:
    """Yield her order lines as records of `ORDER_LINES`; `outcomes` are hers, oldest first.

    As for her totals, the first of several completions counts, and a refund without an amount is one of all that is
    left. Where it names no products, a refund in full is of all that were bought, another of an unknown one.
    """
    cancelled = _cancelled(outcomes)
    orders: dict[str, _Known] = {}
    for outcome in outcomes:
        facts = outcome.properties
        order_id = str(facts.get("order_id", ""))
        if outcome.name == ORDER_COMPLETED and order_id not in orders:
            orders[order_id] = _Known(items_of(facts), facts["revenue_micros"])
            channel = _text(facts.get("channel")) or _redeemed_through(facts, decisions)
            bought = _Moved(orders[order_id].items, facts["revenue_micros"], channel, cancelled.get(order_id))
            yield from _lines(outcome, bought)
        elif outcome.name == ORDER_REFUNDED:
            known = orders.get(order_id)
            paid_back = _paid_back(facts.get("revenue_micros"), known)
            in_full = known is not None and paid_back == known.left_micros
            items = items_of(facts)
            if items == UNKNOWN and known is not None and in_full:
                items = known.items
            elif known is not None:
                items = tuple(_as_bought(item, known.items) for item in items)
            if known is not None:
                known.left_micros -= paid_back
            back = _Moved(items, -paid_back, _text(facts.get("channel")), cancelled.get(order_id))
            yield from _lines(outcome, back)


def _cancelled(outcomes: Iterable[Outcome]) -> Mapping[str, datetime]:
    found: dict[str, datetime] = {}
    for outcome in outcomes:
        if outcome.name == ORDER_CANCELLED:
            found.setdefault(str(outcome.properties.get("order_id", "")), outcome.occurred_at)
    return found


def _paid_back(told: int | None, known: _Known | None) -> int:
    if known is None:
        return told or 0
    return known.left_micros if told is None else min(told, known.left_micros)


def _as_bought(item: Item, bought: Sequence[Item]) -> Item:
    """Return a product that came back with the category it was bought under, where the return tells none."""
    if item.category is not None or item.product is None:
        return item
    category = next((b.category for b in bought if b.product == item.product), None)
    return Item(item.product, item.variant, category, item.quantity, item.weight)


def _lines(outcome: Outcome, moved: _Moved) -> Iterator[Record]:
    facts, items = outcome.properties, moved.items
    discounts = spread(facts.get("discount_micros", 0), items)
    margin = facts.get("margin_micros")
    margins = [None] * len(items) if margin is None else spread(margin, items)
    loyalty = facts.get("loyalty")
    for item, amount, discount, earned in zip(items, spread(moved.micros, items), discounts, margins, strict=True):
        yield (
            outcome.customer_id,
            str(facts.get("order_id", "")),
            outcome.occurred_at,
            item.product,
            item.variant,
            item.category,
            item.quantity,
            amount / MICROS,
            discount / MICROS,
            None if earned is None else earned / MICROS,
            outcome.name == ORDER_REFUNDED,
            _text(facts.get("return_reason")),
            moved.channel,
            _text(facts.get("store")) or _text(facts.get("affiliation")),
            loyalty if isinstance(loyalty, bool) else None,
            moved.cancelled_at,
        )


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _redeemed_through(facts: Mapping[str, Any], decisions: Sequence[Decision]) -> str | None:
    """Return the channel of the offer that was used on an order."""
    return next((action_named(d.action_id).channel for d in decisions if _names(facts, d)), None)


def _names(facts: Mapping[str, Any], decision: Decision) -> bool:
    told = [facts.get(name) for name in ("coupon", "coupon_id", "coupon_name", "promotion_id")]
    return (decision.coupon is not None and decision.coupon in told) or decision.decision_id in (
        facts.get("decision_id"),
        facts.get("promotion_id"),
    )


def contacts_of(outcomes: Sequence[Outcome], decisions: Sequence[Decision]) -> Iterator[Record]:
    """Yield her contacts as records of `CONTACTS`; both are hers, oldest first.

    A view or a click that names no decision or coupon belongs to her last contact before it with that offer, or to her
    last one where it names no offer either.
    """
    contacts = [d for d in decisions if d.action_id != CONTROL]
    opened, clicked = (_followed(outcomes, contacts, name) for name in (PROMOTION_VIEWED, PROMOTION_CLICKED))
    for decision in contacts:
        action = action_named(decision.action_id)
        yield (
            decision.customer_id,
            decision.decided_at,
            decision.action_id,
            action.offer,
            action.channel,
            decision.decision_id,
            opened.get(decision.decision_id),
            clicked.get(decision.decision_id),
            _converted(outcomes, decision),
        )


def _followed(outcomes: Sequence[Outcome], contacts: Sequence[Decision], name: str) -> Mapping[str, datetime]:
    found: dict[str, datetime] = {}
    for outcome in outcomes:
        if outcome.name != name:
            continue
        before = [d for d in contacts if d.decided_at < outcome.occurred_at]
        offers = {d.action_id.partition("@")[0] for d in contacts}
        offer = outcome.properties.get("promotion_id")
        meant = [d for d in before if _names(outcome.properties, d)] or [
            d for d in before if offer not in offers or d.action_id.startswith(f"{offer}@")
        ]
        if meant:
            found.setdefault(meant[-1].decision_id, outcome.occurred_at)
    return found


def _converted(outcomes: Iterable[Outcome], decision: Decision) -> datetime | None:
    end = decision.window_ends_at or decision.matures_at
    return next(
        (
            o.occurred_at
            for o in outcomes
            if o.name == ORDER_COMPLETED
            and decision.decided_at < o.occurred_at <= end
            and o.properties.get("order_id") != decision.order_id
        ),
        None,
    )


def visits_of(outcomes: Iterable[Outcome]) -> Iterator[Record]:
    """Yield her visits as records of `VISITS`; ordering is one, and is told by her orders."""
    for outcome in outcomes:
        if outcome.name in VISITS and outcome.name != ORDER_COMPLETED:
            yield outcome.customer_id, outcome.occurred_at
