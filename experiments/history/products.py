"""What an order's event says of its products, and its money spread over them so that nothing is lost to rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """A product of an order. `weight` is its part of the order's money, in any unit; None where no price was told."""

    product: str | None
    variant: str | None = None
    category: str | None = None
    quantity: int = 1
    weight: Decimal | None = None


UNKNOWN = (Item(None),)


def items_of(properties: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the products of an event; one unknown product where it tells none.

    Products come as Segment has them (`product_id`, `sku`, `name`, `variant`, `category`, `quantity`, `price`), or as
    `encore import orders` writes them: code, quantity, micros of the line, category, variant. Others are left out.
    """
    told = properties.get("products")
    items = (
        [item for p in told if (item := _item(p))] if isinstance(told, Sequence) and not isinstance(told, str) else []
    )
    return tuple(items) or UNKNOWN


def _item(told: Any) -> Item | None:
    if isinstance(told, str):
        return Item(told)
    if isinstance(told, Mapping):
        return _of_segment(told)
    if isinstance(told, Sequence) and len(told) >= 3:
        category, variant = (*told[3:5], None, None)[:2]
        return Item(str(told[0]), variant, category, _pieces(told[1]), _number(told[2]))
    return None


def _of_segment(told: Mapping[str, Any]) -> Item | None:
    names = [_text(told.get(name)) for name in ("product_id", "sku", "name")]
    product = next((name for name in names if name), None)
    if product is None:
        return None
    # Where both are told, the product is the article and the SKU one of its sizes.
    sku = names[1] if names[1] != product else None
    variant = _text(told.get("variant")) or _text(told.get("size")) or sku
    quantity, price = _pieces(told.get("quantity", 1)), _number(told.get("price"))
    weight = None if price is None else price * quantity
    return Item(product, variant, _text(told.get("category")), quantity, weight)


def _text(value: Any) -> str | None:
    return str(value).strip() or None if isinstance(value, str | int) else None


def _number(value: Any) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found >= 0 else None


def _pieces(value: Any) -> int:
    """Return how many pieces; goods by weight or length are at least one."""
    number = _number(value)
    return max(int(number.to_integral_value()), 1) if number is not None else 1


def spread(micros: int, items: Sequence[Item]) -> list[int]:
    """Return the money of an order for each of its items, which adds up; by pieces where prices are not told."""
    weights = [item.weight if item.weight is not None else Decimal(0) for item in items]
    if any(item.weight is None for item in items) or not sum(weights):
        weights = [Decimal(item.quantity) for item in items]
    whole, so_far, given, parts = sum(weights), Decimal(0), 0, []
    for weight in weights:
        so_far += weight
        upto = int((micros * so_far / whole).to_integral_value())
        parts.append(upto - given)
        given = upto
    return parts
