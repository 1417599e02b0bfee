"""A row of a past trial into a finished decision: what was allowed, with which odds, and what it brought."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from decision.errors import InvalidInput
from decision.ledger.base import Rewarded
from decision.money import MICROS, to_micros
from decision.programme.model import Programme
from decision.records import (
    CONTROL,
    TRIAL_PREFIX,
    ContextValue,
    Customer,
    Decision,
    DecisionRequest,
    Group,
    Order,
    Reward,
    RewardStatus,
)
from decision.stages import context
from decision.stages.guardrails import reach_of
from decision.stages.rewards import value_micros
from experiments.importing.cells import Unusable, category, decimal, flag, number, text
from experiments.importing.table import Row
from experiments.importing.trial_mapping import TrialMapping

_MICRO = Decimal(1).scaleb(-6)
_FROM_THE_REQUEST = ("trigger", "store", "region")


@dataclass(frozen=True, slots=True)
class Result:
    """What a row says happened inside the window."""

    visited: bool
    repurchased: bool
    redeemed: bool
    revenue_micros: int
    margin_micros: int


class TrialRows:
    """Reads the rows of one table. `reasons` go into every decision, as (code, sentence)."""

    def __init__(
        self,
        mapping: TrialMapping,
        columns: tuple[str, ...],
        *,
        programme: Programme,
        now: datetime,
        reasons: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._mapping = mapping
        self._columns = columns
        self._place = {name: i for i, name in enumerate(columns)}
        self._programme = programme
        self._now = now
        self._reasons = reasons
        self._facts: dict[str | None, dict[str, ContextValue]] = {}
        chances = _by_action(mapping)
        self._allowed, self._distribution = tuple(chances), tuple(chances.values())

    def arm(self, row: Row) -> str:
        """Return the arm of a row. Raises `Unusable` when the mapping does not know it."""
        arm = text(self._cell(row, self._mapping.arm))
        if arm is None or arm not in self._mapping.actions:
            raise Unusable(f"unknown arm in {self._mapping.arm!r}")
        return arm

    def read(self, row_number: int, row: Row) -> Rewarded:
        """Return the decision and the reward of a row. Raises `Unusable` with the reason."""
        if len(row) != len(self._columns):
            raise Unusable(f"not {len(self._columns)} columns")
        mapping = self._mapping
        decision_id = f"{TRIAL_PREFIX}{mapping.name}:{row_number}"
        action_id = mapping.actions[self.arm(row)]
        decided_at, matures_at = self._times(row)
        store = self._store(row)
        customer_id = self._customer_id(row_number, row)
        features = self._features(row)
        result = self._result(row)
        decision = Decision(
            decision_id=decision_id,
            customer_id=customer_id,
            trigger=mapping.trigger,
            store=store,
            order_id="",
            decided_at=decided_at,
            group=Group.RANDOM,
            action_id=action_id,
            propensity=self._distribution[self._allowed.index(action_id)],
            policy_version=f"{TRIAL_PREFIX}{mapping.name}",
            allowed=self._allowed,
            distribution=self._distribution,
            context={**self._facts_of(store), **features},
            predictions={},
            rejected=(),
            reasons=self._reasons,
            expires_at=None,
            matures_at=matures_at,
            contact_cost_micros=self._programme.contact_cost_micros(self._programme.action(action_id)),
            fingerprint=_fingerprint(action_id, customer_id, store, decided_at, features, result),
        )
        return Rewarded(decision, self._reward(decision, result))

    def _cell(self, row: Row, column: str) -> Any:
        return row[self._place[column]]

    def _times(self, row: Row) -> tuple[datetime, datetime]:
        known = self._mapping.decided_at
        decided_at = known if isinstance(known, datetime) else self._mapping.clock.read(self._cell(row, known), known)
        try:
            matures_at = decided_at + timedelta(days=self._programme.attribution_window_days)
        except OverflowError:
            raise Unusable("no readable time of the decision") from None
        if matures_at > self._now:
            raise Unusable("its attribution window is not over")
        return decided_at, matures_at

    def _store(self, row: Row) -> str | None:
        column = self._mapping.store_column
        store = self._mapping.store if column is None else text(self._cell(row, column))
        if store is not None and store not in self._programme.stores:
            raise Unusable(f"unknown store in {column!r}")
        return store

    def _customer_id(self, row_number: int, row: Row) -> str:
        column = self._mapping.customer_id
        if column is None:
            # Identical rows are different customers: only the place in the file tells them apart.
            return f"{self._mapping.name}-{row_number}"
        found = category(self._cell(row, column), column)
        if found is None:
            raise Unusable("no customer id")
        return found

    def _facts_of(self, store: str | None) -> dict[str, ContextValue]:
        """Return the context that a decision of `store` would log, None where a trial does not tell."""
        if store not in self._facts:
            request = DecisionRequest("", "", self._mapping.trigger, Order("", 0), store, "")
            nobody, programme, now = Customer(""), self._programme, self._now
            reach = reach_of(programme, request, nobody, now=now)
            served = context.build(request, nobody, reach, programme=programme, now=now)
            self._facts[store] = {key: served[key] if key in _FROM_THE_REQUEST else None for key in served}
        return self._facts[store]

    def _features(self, row: Row) -> dict[str, ContextValue]:
        return {name: self._feature(row, name, column) for name, column in self._mapping.features.items()}

    def _feature(self, row: Row, name: str, column: str) -> ContextValue:
        cell = self._cell(row, column)
        if self._programme.features[name].kind == "number":
            return number(cell, column, self._mapping.figures)
        return category(cell, column)

    def _result(self, row: Row) -> Result:
        programme, columns = self._programme, self._mapping.outcomes
        repurchased = flag(self._cell(row, columns.repurchased), columns.repurchased)
        revenue = self._amount(row, columns.revenue)
        if revenue and not repurchased:
            raise Unusable(f"revenue in {columns.revenue!r} without a repurchase in {columns.repurchased!r}")
        margin = round(revenue * programme.gross_margin)
        if columns.margin is not None:
            margin = self._amount(row, columns.margin, allow_negative=True)
        # An order is a visit, whatever was counted apart from it.
        visited = repurchased
        if columns.visited is not None:
            visited = flag(self._cell(row, columns.visited), columns.visited) or repurchased
        redeemed = columns.redeemed is not None and flag(self._cell(row, columns.redeemed), columns.redeemed)
        return Result(visited, repurchased, redeemed, revenue, margin)

    def _reward(self, decision: Decision, result: Result) -> Reward:
        programme = self._programme
        cost = decision.contact_cost_micros
        if result.redeemed:
            cost += programme.redemption_cost_micros(programme.action(decision.action_id), result.revenue_micros)
        return Reward(
            decision_id=decision.decision_id,
            status=RewardStatus.FINAL,
            visited=result.visited,
            repurchased=result.repurchased,
            redeemed=result.redeemed,
            revenue_micros=result.revenue_micros,
            margin_micros=result.margin_micros,
            cost_micros=cost,
            value_micros=value_micros(
                programme.goal_of(decision.store),
                revenue=result.revenue_micros,
                margin=result.margin_micros,
                visited=result.visited,
                repurchased=result.repurchased,
                cost=cost,
            ),
            computed_at=self._now,
        )

    def _amount(self, row: Row, column: str, *, allow_negative: bool = False) -> int:
        """Return an amount in micros. Spend summed in binary has crumbs beyond a micro; they are rounded off."""
        amount = decimal(self._cell(row, column), column, self._mapping.figures)
        try:
            if abs(amount) <= MICROS * MICROS:
                amount = amount.quantize(_MICRO, ROUND_HALF_EVEN)
            return to_micros(amount, allow_negative=allow_negative)
        except InvalidInput:
            raise Unusable(f"negative or impossible amount in {column!r}") from None


def _fingerprint(*facts: Any) -> str:
    """Return a hash of what a row says, so that another row under the same id is known."""
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


def _by_action(mapping: TrialMapping) -> Mapping[str, float]:
    """Return the design's odds of each action, control first; arms with the same action add up."""
    chances = {CONTROL: 0.0}
    for arm, action_id in mapping.actions.items():
        chances[action_id] = chances.get(action_id, 0.0) + mapping.design[arm]
    return chances
