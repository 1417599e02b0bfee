"""A simulated customer at the till: what the shop sends, and what only the simulation knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy as np

from decision.money import to_micros
from decision.records import ContextValue, DecisionRequest, Order
from experiments.shop.chances import Chances


class Luck(NamedTuple):
    """What chance brings an arrival, whatever is done: common random numbers for all actions.

    `basket` is standard normal, the others are uniform in [0, 1).
    """

    basket: float
    order: float
    delay: float
    redeem: float
    view: float
    view_delay: float
    click: float
    browse: float
    browse_delay: float
    refund: float
    refund_share: float
    refund_delay: float
    unsubscribe: float


def draw_luck(rng: np.random.Generator, n: int) -> list[Luck]:
    """Return the luck of n arrivals."""
    drawn = rng.random((n, len(Luck._fields)))
    drawn[:, 0] = rng.standard_normal(n)
    return [Luck(*row) for row in drawn.tolist()]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A purchase or a return, right after which a decision is asked for. Money in currency units, `at` in UTC.

    The last three fields are the simulation's own and are never sent: her luck, and where her chances are kept.
    """

    decision_id: str
    customer_id: str
    trigger: str
    at: datetime
    order_id: str
    total: Decimal
    discount: Decimal
    products: tuple[str, ...]
    item_count: int
    store: str | None
    features: Mapping[str, ContextValue]
    consent: Mapping[str, bool]
    luck: Luck
    place: int
    chances: Chances = field(compare=False, repr=False)


def body_of(arrival: Arrival, *, currency: str) -> dict[str, Any]:
    """Return the JSON body of POST /v1/decisions."""
    return {
        "decision_id": arrival.decision_id,
        "customer_id": arrival.customer_id,
        "trigger": arrival.trigger,
        "order": {
            "order_id": arrival.order_id,
            "total": {"amount": str(arrival.total), "currency": currency},
            "discount": {"amount": str(arrival.discount), "currency": currency},
            "products": list(arrival.products),
            "item_count": arrival.item_count,
        },
        "store": arrival.store,
        "features": dict(arrival.features),
        "consent": dict(arrival.consent),
    }


def request_of(arrival: Arrival, *, currency: str) -> DecisionRequest:
    """Return the request that the body becomes behind the door."""
    body = msgspec.json.encode(body_of(arrival, currency=currency))
    return DecisionRequest(
        decision_id=arrival.decision_id,
        customer_id=arrival.customer_id,
        trigger=arrival.trigger,
        order=Order(
            order_id=arrival.order_id,
            total_micros=to_micros(arrival.total),
            discount_micros=to_micros(arrival.discount),
            products=arrival.products,
            item_count=arrival.item_count,
        ),
        store=arrival.store,
        fingerprint=hashlib.sha256(body).hexdigest(),
        features=arrival.features,
        consent=arrival.consent,
    )
