"""What a simulated customer does after a decision, as the events that her shop would send."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from decision.programme.model import Offer, Programme
from decision.records import Action, Decision, Outcome
from decision.stages.events import ORDER_COMPLETED, ORDER_REFUNDED, PROMOTION_CLICKED, UNSUBSCRIBED
from experiments.shop import effects
from experiments.shop.arrival import Arrival

PROMOTION_VIEWED = "Promotion Viewed"
PRODUCT_VIEWED = "Product Viewed"
_DAY = 86_400.0
_CENT = 10_000  # micros
# Hours until a message is seen; on the page it is at once.
_SEEN_WITHIN_HOURS = 20.0
_REFUND_MEAN_DAYS, _REFUND_LAST_DAY = 4.0, 25.0


@dataclass(frozen=True, slots=True)
class _Story:
    """The events of one decision, told one after the other. Seconds count from the decision."""

    arrival: Arrival
    decision: Decision
    told: list[Outcome]

    def tell(self, name: str, key: str, seconds: float, properties: Mapping[str, Any]) -> None:
        self.told.append(
            Outcome(
                message_id=f"{self.decision.decision_id}-{key}",
                name=name,
                customer_id=self.decision.customer_id,
                occurred_at=self.decision.decided_at + timedelta(seconds=int(seconds)),
                properties={**properties, "simulated": True},
            )
        )


def outcomes_of(arrival: Arrival, decision: Decision, *, programme: Programme, column: int) -> list[Outcome]:
    """Return what happens after `decision`, whose action has this `column` among the programme's, in order of time.

    The same luck meets every action: had another been chosen, only what it changes would differ.
    """
    story = _Story(arrival, decision, [])
    luck, chances, i = arrival.luck, arrival.chances, arrival.place
    action = programme.actions[column]
    # A minute from either edge of the window; more orders come early than late.
    inside = programme.attribution_window_days * _DAY - 120.0
    orders = luck.order < chances.order[i, column]
    order_at = 60.0 + inside * luck.delay**1.7
    redeems = bool(orders and luck.redeem < chances.redemption[column])
    if not action.is_control:
        _contact(story, action, order_at if orders else None, redeems=redeems, column=column)
    if luck.browse < chances.browse[i]:
        properties = {"product_id": arrival.products[0]}
        story.tell(PRODUCT_VIEWED, "browse", 60.0 + inside * luck.browse_delay, properties)
    if orders:
        gross_cents = max(round(100.0 * math.exp(chances.log_basket[i, column] + effects.BASKET_SD * luck.basket)), 1)
        offer = programme.offers[action.offer] if redeems else None
        _order(story, gross_cents, order_at, offer=offer, currency=programme.currency)
    return sorted(story.told, key=lambda outcome: outcome.occurred_at)


def _contact(story: _Story, action: Action, order_at: float | None, *, redeems: bool, column: int) -> None:
    luck, chances, i = story.arrival.luck, story.arrival.chances, story.arrival.place
    properties = {"promotion_id": action.action_id, "channel": action.channel}
    delay = 5.0 if action.channel == "on_page" else 60.0 + 3_600.0 * _SEEN_WITHIN_HOURS * luck.view_delay**2
    seen_at = delay if order_at is None else min(delay, order_at / 2)
    if redeems or luck.view < chances.view[column]:
        story.tell(PROMOTION_VIEWED, "viewed", seen_at, properties)
        if redeems or luck.click < chances.click[i, column]:
            clicked_at = seen_at + 30.0 if order_at is None else (seen_at + order_at) / 2
            story.tell(PROMOTION_CLICKED, "clicked", clicked_at, properties)
    if luck.unsubscribe < chances.unsubscribe[i, column]:
        story.tell(UNSUBSCRIBED, "unsubscribed", delay + 20.0, {"channel": action.channel})


def _order(story: _Story, gross_cents: int, order_at: float, *, offer: Offer | None, currency: str) -> None:
    luck, chances, i = story.arrival.luck, story.arrival.chances, story.arrival.place
    discount = round(gross_cents * _discount_share(offer))
    revenue = gross_cents - discount
    order_id = f"{story.decision.decision_id}-again"
    properties: dict[str, Any] = {
        "order_id": order_id,
        "currency": currency,
        "revenue_micros": revenue * _CENT,
        "discount_micros": discount * _CENT,
    }
    if offer is not None:
        properties["coupon"] = story.decision.coupon
    story.tell(ORDER_COMPLETED, "order", order_at, properties)
    full, partial = chances.refund_full[i], chances.refund_partial[i]
    if luck.refund < full + partial:
        share = effects.PARTIAL_LOW + (effects.PARTIAL_HIGH - effects.PARTIAL_LOW) * luck.refund_share
        paid_back = revenue if luck.refund < full else round(revenue * share)
        days = min(1.0 - _REFUND_MEAN_DAYS * math.log1p(-luck.refund_delay), _REFUND_LAST_DAY)
        refund = {"order_id": order_id, "currency": currency, "revenue_micros": paid_back * _CENT}
        story.tell(ORDER_REFUNDED, "refund", order_at + days * _DAY, refund)


def _discount_share(offer: Offer | None) -> float:
    """Return what an offer takes off the price; points and shipping are paid for elsewhere."""
    if offer is None or offer.kind not in ("percent_discount", "bogo"):
        return 0.0
    return float(offer.terms["percent"]) / 100.0 if offer.kind == "percent_discount" else offer.cost.share_of_basket


def events_of(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return outcomes as the JSON bodies of POST /v1/events, with money as text in currency units."""
    return [
        {
            "event": outcome.name,
            "message_id": outcome.message_id,
            "customer_id": outcome.customer_id,
            "timestamp": outcome.occurred_at.isoformat(),
            "properties": dict(_as_sent(key, value) for key, value in outcome.properties.items()),
        }
        for outcome in outcomes
    ]


def _as_sent(key: str, value: Any) -> tuple[str, Any]:
    if key.endswith("_micros"):
        return key.removesuffix("_micros"), str(Decimal(value // _CENT).scaleb(-2))
    return key, value
