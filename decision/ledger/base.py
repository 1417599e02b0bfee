"""The contract of a ledger; `tests/ledger` runs it against every implementation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from decision.records import Customer, Decision, Outcome, Reservation, Reward
from decision.stages.guardrails import Used
from decision.stages.keys import ApiKey
from decision.stages.pacing import Price

# Who acts where no person does, as in a simulation.
ENCORE = "encore"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A change of champion. `kind` is `promote` or `rollback`; `verdict` are the gate's sentences."""

    bundle_version: str
    kind: str
    reason: str
    verdict: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was administered. `actor` is who: a user of the operating system, or the name of a key."""

    at: datetime
    actor: str
    act: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PosteriorRecord:
    """A stored belief of the bandit, learned from all buckets of decisions made before `through`."""

    bundle_version: str
    sequence: int
    through: datetime
    n: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """The shadow price of a budget from a time on, and what had been used of it in its period by then."""

    budget_key: str
    at: datetime
    price: Price
    used: Used


@dataclass(frozen=True, slots=True)
class Rewarded:
    """A decision with its latest reward."""

    decision: Decision
    reward: Reward


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a decision's reservations come to: the money really spent, and whether its piece is kept."""

    decision_id: str
    amount_micros: int
    keep_count: bool


class Ledger(Protocol):
    """Durable records. Every write has been committed when the call returns."""

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Return a block in which this thread neither waits for the ledger nor reads it for longer than that.

        What would take longer raises `DeadlinePassed`. A decision that is not durable by then is not written, or is
        kept as what its caller is answered: control, holding nothing.
        """
        ...

    def customer(self, customer_id: str, *, contacts_since: datetime | None = None) -> Customer:
        """Return what is known of a customer with her treatments after a time, or all of them.

        Someone unknown has empty fields.
        """
        ...

    def used(self, budget_keys: Iterable[str]) -> dict[str, Used]:
        """Return what is taken of each budget that has been used at all."""
        ...

    def decision(self, decision_id: str) -> Decision | None:
        """Return a decision, or None."""
        ...

    def record_decision(
        self,
        decision: Decision,
        reservations: Sequence[Reservation],
        *,
        seen_version: int,
        at_stake: Sequence[Reservation] = (),
    ) -> None:
        """Write a decision and take its budgets in one transaction.

        `at_stake` is what the actions that were not drawn would have taken: it must fit too, but is not taken.

        Raises
        ------
        Conflict : a budget is exhausted (named in `exhausted`), the customer has had a decision since
            `seen_version`, or the decision id exists; nothing is written.
        DeadlinePassed : it was not durable in time, see `within`.
        """
        ...

    def record_outcomes(self, outcomes: Sequence[Outcome], *, now: datetime) -> int:
        """Write outcomes whose message id is new, bring customers up to date, return how many were new."""
        ...

    def import_decisions(self, rewarded: Iterable[Rewarded]) -> int:
        """Write finished decisions of the past with their rewards; those whose id exists are left as they are.

        Returns how many were written.
        """
        ...

    def outcomes_of(self, customer_id: str, *, start: datetime, end: datetime) -> list[Outcome]:
        """Return a customer's outcomes in (start, end], oldest first."""
        ...

    def touched(self, *, after: int, limit: int) -> tuple[list[Decision], int]:
        """Return decisions whose reward may have changed by outcomes numbered above `after`, and the new number."""
        ...

    def due(self, *, now: datetime, limit: int) -> list[Decision]:
        """Return decisions that are mature at `now` and whose reward is not final."""
        ...

    def expired(self, *, now: datetime, limit: int) -> list[Decision]:
        """Return decisions whose offer has expired while budgets are still held for them."""
        ...

    def reward(self, decision_id: str) -> Reward | None:
        """Return the latest reward of a decision, or None."""
        ...

    def record_rewards(self, rewards: Sequence[Reward], settlements: Sequence[Settlement]) -> None:
        """Append rewards and replace what decisions reserved by what they cost, in one transaction.

        Earlier rewards of the same decision stay as history.
        """
        ...

    def close_reservations(self, settlements: Sequence[Settlement]) -> None:
        """Replace what expired offers reserved by what they cost, and end the reservations."""
        ...

    def cursor(self, name: str) -> int:
        """Return a named position in the log, 0 at first."""
        ...

    def move_cursor(self, name: str, position: int) -> None:
        """Set a named position."""
        ...

    def finished(self, *, start: datetime, end: datetime) -> list[Rewarded]:
        """Return decisions made in [start, end) whose reward is final, ordered by decision id."""
        ...

    def waits(self, *, start: datetime, end: datetime) -> list[timedelta]:
        """Return how long customers took to come back after decisions made in [start, end) whose reward is final.

        Imported trials are left out: they say that a customer came back, and not when.
        """
        ...

    def unfinished(self, *, start: datetime) -> Iterator[tuple[Decision, Reward | None]]:
        """Yield decisions made from `start` on whose reward is not final, by decision id.

        With its latest reward, None where nothing has happened since.
        """
        ...

    def rewarded(self) -> Iterator[Rewarded]:
        """Yield every decision with its latest reward, in the order of writing; those without one are left out."""
        ...

    def revised_since(self, position: int, *, start: datetime) -> tuple[datetime | None, int]:
        """Return the earliest decision time from `start` on among rewards new after `position`, and the new position.

        New are rewards that became final, and final ones that now say otherwise of the repurchase.
        """
        ...

    def posterior(self, bundle_version: str, *, after: int = 0) -> PosteriorRecord | None:
        """Return the latest belief of a bundle's bandit if its sequence is above `after`, else None."""
        ...

    def record_posterior(self, record: PosteriorRecord) -> None:
        """Append a belief; its `sequence` is given by the ledger."""
        ...

    def shadow_price(self, budget: str) -> PriceRecord | None:
        """Return the latest price of the budget of a name, whatever its period, or None."""
        ...

    def record_shadow_prices(self, records: Sequence[PriceRecord]) -> None:
        """Append prices."""
        ...

    def promotions(self) -> list[Promotion]:
        """Return all changes of champion, oldest first."""
        ...

    def record_promotion(self, promotion: Promotion, *, actor: str = ENCORE) -> None:
        """Append a change of champion, and an act of the same kind."""
        ...

    def api_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first, with those that were revoked."""
        ...

    def record_key(self, key: ApiKey, *, actor: str) -> None:
        """Append a new key, and the act `key created`. Raises `LedgerError` when its id exists."""
        ...

    def revoke_key(self, key_id: str, *, actor: str, now: datetime) -> ApiKey:
        """End a key, append the act `key revoked`, and return the key as it was; one that had ended stays so.

        Raises
        ------
        NotFound : there is no such key.
        """
        ...

    def acts(self) -> list[Act]:
        """Return the audit log, oldest first."""
        ...

    def record_act(self, act: Act) -> None:
        """Append to the audit log."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return the number of decisions, outcomes and rewards."""
        ...

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield an export: `decisions`, `outcomes` or `rewards` as flat dictionaries."""
        ...
