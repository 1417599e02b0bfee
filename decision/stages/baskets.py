"""What a customer bought and sent back, product by product, from the events of her orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from decision.records import Outcome
from decision.stages.events import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED

# What shops call the id of a product in an order's list of products, in the order in which it is looked for.
ID_KEYS = ("product_id", "sku", "name")


@dataclass(frozen=True, slots=True)
class History:
    """The baskets of a customer, newest first, and all that she has sent back."""

    baskets: tuple[tuple[str, ...], ...] = ()
    returned: frozenset[str] = frozenset()


def history(outcomes: Iterable[Outcome], *, but_for: str) -> History:
    """Return the history in a customer's events, without the order `but_for`: she has it in hand.

    What came back is known from the products of a refund; one that names none brings back its whole order.
    """
    bought: dict[str, tuple[float, tuple[str, ...]]] = {}
    returned: set[str] = set()
    sent_back: set[str] = set()
    gone: set[str] = set()
    for outcome in outcomes:
        order_id, products = str(outcome.properties.get("order_id", "")), products_of(outcome.properties)
        if outcome.name == ORDER_COMPLETED:
            bought.setdefault(order_id, (outcome.occurred_at.timestamp(), products))
        elif outcome.name == ORDER_REFUNDED:
            returned.update(products)
            if not products and outcome.properties.get("revenue_micros") is None:
                sent_back.add(order_id)
        elif outcome.name == ORDER_CANCELLED:
            gone.add(order_id)
    for order_id in sent_back & bought.keys():
        returned.update(bought[order_id][1])
    kept = [of for order_id, of in bought.items() if order_id not in gone | {but_for} and of[1]]
    return History(tuple(products for _, products in sorted(kept, reverse=True)), frozenset(returned))


def products_of(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids in an event's list of products, each once: Segment's objects, plain texts, or imported lines."""
    listed = properties.get("products")
    found = [_id_of(one) for one in listed] if isinstance(listed, list | tuple) else []
    return tuple(dict.fromkeys(one for one in found if one))


def _id_of(line: Any) -> str:
    if isinstance(line, Mapping):
        line = next((line[key] for key in ID_KEYS if line.get(key)), "")
    elif isinstance(line, list | tuple):
        line = line[0] if line else ""
    return str(line) if isinstance(line, str | int) and not isinstance(line, bool) else ""
