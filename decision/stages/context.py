"""Context: what is known at decision time, by name; and the vector that a policy computes from it.

The named context is what the ledger keeps and what training reads, so that both see what was served.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate

import numpy as np
from msgspec import UNSET, UnsetType

from decision.errors import InvalidInput
from decision.money import MICROS
from decision.programme.model import Feature, Programme
from decision.programme.section import unknown_name
from decision.records import ContextValue, Customer, DecisionRequest, FloatArray
from decision.stages.guardrails import Reach

SECONDS_A_DAY = 86_400.0
# Where a caller sends 1e300, sums of squares must stay finite.
FARTHEST = 1e6
# A union made anew at each look takes longer than looking.
_NUMBERS = (int, float)


def build(
    request: DecisionRequest, customer: Customer, reach: Reach, *, programme: Programme, now: datetime
) -> dict[str, ContextValue]:
    """Return the named context: facts of the request, the customer's history and profile, the caller's features.

    What decides over the allowed actions is among them (consent, recent contacts): customers who may be reached
    differ from others, and a model that can't see it takes the difference for an effect of the actions.
    """
    order = request.order
    last = customer.last_order_at
    store = programme.stores.get(request.store) if request.store else None
    context: dict[str, ContextValue] = {
        "trigger": request.trigger,
        "store": request.store,
        "region": store.region if store else None,
        "order_total": order.total_micros / MICROS,
        "order_discount": order.discount_micros / MICROS,
        "order_items": float(order.item_count),
        "customer_orders": float(customer.orders),
        "customer_returns": float(customer.returns),
        "customer_revenue": customer.revenue_micros / MICROS,
        "days_since_last_order": None if last is None else max((now - last).total_seconds() / SECONDS_A_DAY, 0.0),
        "recent_contacts": float(reach.recent_contacts),
    }
    for channel, may in reach.channels.items():
        context[f"consent.{channel}"] = 1.0 if may else 0.0
    for name in programme.profile:
        context[name] = customer.profile.values.get(name)
    for name in programme.features:
        context[name] = request.features.get(name)
    return context


def check_features(features: Mapping[str, object], known: Mapping[str, Feature]) -> dict[str, ContextValue]:
    """Return the caller's features, each of its declared type.

    Raises
    ------
    InvalidInput : a feature is not declared in the programme, or its value is not of the declared type.
    """
    checked: dict[str, ContextValue] = {}
    for name, value in features.items():
        feature = known.get(name)
        if feature is None:
            hint = "Declare it in programme.toml under [features]."
            raise unknown_name("feature", name, tuple(known), pointer=f"$.features.{name}", hint=hint)
        checked[name] = _typed(value, feature)
    return checked


def _typed(value: object, feature: Feature) -> ContextValue:
    if value is None:
        return None
    pointer = f"$.features.{feature.name}"
    if feature.kind == "category":
        if isinstance(value, str) and len(value) <= 200:
            return value
        raise InvalidInput(f"Expected a text of at most 200 characters at {pointer}, found {value!r}.", pointer=pointer)
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not math.isfinite(value):
        raise InvalidInput(f"Expected a finite number at {pointer}, found {value!r}.", pointer=pointer)
    return float(value)


@dataclass(frozen=True, slots=True)
class Column:
    """How one named fact becomes numbers. A category has `levels`; a number a `centre` and `scale`.

    `log` takes log(1 + max(x, 0)) first; `missing` adds a column that is 1 where the fact is absent.
    An absent number becomes 0 after scaling (its average), an unknown level becomes all zeros. After scaling a number
    is kept within [`least`, `most`], what training saw: nobody knows what an effect does beyond.

    A category of very many levels has `rates`: one number for each, 0 (the average) for one that training did not see.
    It stands behind those of the frequent `levels`. Unset, not empty, elsewhere: so bundles keep their hash.
    """

    name: str
    levels: tuple[str, ...] = ()
    centre: float = 0.0
    scale: float = 1.0
    log: bool = False
    missing: bool = False
    least: float = -FARTHEST
    most: float = FARTHEST
    rates: dict[str, float] | UnsetType = UNSET

    @property
    def width(self) -> int:
        """Return how many numbers this column gives."""
        if isinstance(self.rates, dict):
            return len(self.levels) + 1 + self.missing
        return len(self.levels) or 1 + self.missing

    @property
    def labels(self) -> tuple[str, ...]:
        """Return a readable name for each of the numbers."""
        levels = tuple(f"{self.name}={level}" for level in self.levels)
        if isinstance(self.rates, dict):
            return (*levels, f"{self.name} by rate", f"{self.name} is missing")[: self.width]
        if self.levels:
            return levels
        return (self.name, f"{self.name} is missing") if self.missing else (self.name,)


@dataclass(frozen=True)
class Encoder:
    """The columns of a policy bundle: context by name in, vector of shape [width] out.

    It has no slots: where each column's numbers go is worked out once and kept.
    """

    columns: tuple[Column, ...]

    @cached_property
    def width(self) -> int:
        """Return the length of the vector."""
        return sum(column.width for column in self.columns)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return tuple(accumulate((column.width for column in self.columns), initial=0))[:-1]

    @cached_property
    def _levels(self) -> tuple[tuple[str, Mapping[ContextValue, int]], ...]:
        """Return the places of the levels of categories."""
        placed = zip(self.columns, self._starts, strict=True)
        return tuple(
            (column.name, {level: k for k, level in enumerate(column.levels, start)})
            for column, start in placed
            if column.levels
        )

    @cached_property
    def _numbers(self) -> tuple[tuple[int, Column], ...]:
        """Return where each number goes."""
        placed = zip(self._starts, self.columns, strict=True)
        return tuple((start, c) for start, c in placed if not c.levels and not isinstance(c.rates, dict))

    @cached_property
    def _rates(self) -> tuple[tuple[int, Column, Mapping[str, float]], ...]:
        """Return where the rate of a level goes, and the rates."""
        placed = zip(self._starts, self.columns, strict=True)
        return tuple((start + len(c.levels), c, c.rates) for start, c in placed if isinstance(c.rates, dict))

    @property
    def labels(self) -> tuple[str, ...]:
        """Return a readable name for each number of the vector."""
        return tuple(label for column in self.columns for label in column.labels)

    def encode(self, context: Mapping[str, ContextValue]) -> FloatArray:
        """Return the vector of a context, shape [width]."""
        # Over so few numbers, plain Python is several times as fast as arrays.
        numbers = [0.0] * self.width
        for name, levels in self._levels:
            place = levels.get(context.get(name))
            if place is not None:
                numbers[place] = 1.0
        for place, column in self._numbers:
            value = context.get(column.name)
            if isinstance(value, _NUMBERS):
                number = (math.log1p(max(value, 0.0)) if column.log else value) - column.centre
                numbers[place] = min(max(number / column.scale, column.least), column.most)
            elif column.missing:
                numbers[place + 1] = 1.0
        for place, column, rates in self._rates:
            value = context.get(column.name)
            if isinstance(value, str):
                numbers[place] = rates.get(value, 0.0)
            elif column.missing:
                numbers[place + 1] = 1.0
        return np.array(numbers)
