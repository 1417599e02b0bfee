"""The contract of a ledger; `tests/ledger` runs it against every implementation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from decision.ledger.outbox import Outbox
from decision.records import (
    ContextValue,
    Customer,
    Decision,
    Outcome,
    Profile,
    ProfileSource,
    Reservation,
    Reward,
)
from decision.stages.guardrails import Used
from decision.stages.keys import ApiKey
from decision.stages.pacing import Price
from decision.stages.ranking import RankedEvent, Told

if TYPE_CHECKING:
    from decision.ledger.people import People

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
class InboxItem:
    """A delivery of `sender` that could not be used, and why; `order_id` is the order that it waits for.

    `body` holds what Encore reads of it, and nothing else of a person. Its number is given by the ledger.
    """

    at: datetime
    source: str
    topic: str
    sender: str
    body: str
    reason: str
    order_id: str | None = None
    customer_id: str | None = None
    item_id: int = 0


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


class Ranks(Protocol):
    """Durable records of ranked events. Every write has been committed when the call returns."""

    def event(self, event_id: str) -> RankedEvent | None:
        """Return an event, or None."""
        ...

    def record_event(self, event: RankedEvent) -> RankedEvent:
        """Write an event, unless one of its id exists; return the one that is kept."""
        ...

    def tell(self, event_id: str, told: Told) -> bool:
        """Append what was told of an event; return whether there is one."""
        ...

    def due(self, *, now: datetime, limit: int) -> list[tuple[RankedEvent, list[Told]]]:
        """Return events whose wait is over at `now` and that are not settled, oldest first, with what was told."""
        ...

    def settle(self, rewards: Mapping[str, float | None], model: bytes | None) -> None:
        """Write the final rewards of due events, and the model that learned from them, in one transaction.

        None as a reward means that an event is not to be learned from; None as the model keeps the one before.
        """
        ...

    def reward(self, event_id: str) -> tuple[float | None] | None:
        """Return the final reward of an event in a tuple, None where it is not settled."""
        ...

    def every(self) -> Iterator[tuple[RankedEvent, tuple[float | None] | None]]:
        """Yield all events in the order of writing, each with its `reward`."""
        ...

    def model(self, *, after: int = 0) -> tuple[int, bytes] | None:
        """Return the version and the arrays of the latest model if its version is above `after`, else None."""
        ...


@dataclass(frozen=True, slots=True)
class NewProfile:
    """What one source has worked out of a customer; values that are None are left out, and read as None."""

    customer_id: str
    source: ProfileSource
    values: Mapping[str, ContextValue]


@dataclass(frozen=True, slots=True)
class Changed:
    """Whose events or decisions came after a position, and the position after them; empty where there are none.

    `latest` is the latest time of those events and decisions by customer: by a fast clock it lies in the future.
    """

    latest: Mapping[str, datetime]
    outcomes: int
    decisions: int


class Profiles(Protocol):
    """What was worked out of customers offline: the latest of each source. Writes are committed when calls return."""

    def of(self, customer_id: str, names: Iterable[str] | None = None) -> Profile:
        """Return what is known of a customer, or the values of these names, None where there is none.

        Where sources name values alike, the last of them by name wins.
        """
        ...

    def put(self, profiles: Sequence[NewProfile]) -> None:
        """Write profiles in place of those of the same customer and source that are not newer."""
        ...

    def remove(self, source: str, customer_ids: Sequence[str]) -> None:
        """Remove what a source has worked out of customers."""
        ...

    def changed(self, outcomes: int, decisions: int, *, limit: int) -> Changed:
        """Return who has had an event or a decision after these numbers, oldest first, of at most `limit` of each."""
        ...

    def outdated(self, source: str, *, before: datetime, limit: int) -> list[str]:
        """Return customers whose profile of a source is of before a time, the oldest first."""
        ...

    def of_other_version(self, source: str, version: str, *, limit: int) -> list[str]:
        """Return customers whose profile of a source is not of this version; it looks at all of them."""
        ...


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a ledger is doing.

    `decisions` and `outcomes` have been written since it was made; `waiting_since` is when the oldest outcome came that
    has not been worked off; decisions before `learned_through` have been learned by a bundle's bandit.
    """

    decisions: int
    outcomes: int
    waiting_since: datetime | None
    learned_through: datetime | None
    size_bytes: int


class Ledger(Protocol):
    """Durable records. Every write has been committed when the call returns."""

    @property
    def ranks(self) -> Ranks:
        """Return the records of ranked events."""
        ...

    @property
    def profiles(self) -> Profiles:
        """Return what was worked out of customers offline."""
        ...

    @property
    def people(self) -> People:
        """Return what runs over everybody found."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Return what other systems are told."""
        ...

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Return a block in which this thread neither waits for the ledger nor reads it for longer than that.

        What would take longer raises `DeadlinePassed`. A decision that is not durable by then is not written, or is
        kept as what its caller is answered: control, holding nothing.
        """
        ...

    def tidy(self) -> None:
        """Do what keeps the ledger quick, beside its readers and writers: a server calls it now and then."""
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

    def knows(self, message_ids: Sequence[str]) -> bool:
        """Return whether outcomes with all of these message ids have been written."""
        ...

    def owners(self, order_id: str) -> list[str]:
        """Return the customers who have completed an order of this id."""
        ...

    def put_in_inbox(self, item: InboxItem) -> bool:
        """Keep what could not be used; return False when the same is there already.

        Raises
        ------
        LedgerError : the inbox is full.
        """
        ...

    def inbox(self, *, order_id: str | None = None) -> list[InboxItem]:
        """Return what could not be used, or what of it waits for an order, oldest first."""
        ...

    def take_from_inbox(self, item_id: int, *, act: Act | None = None) -> None:
        """Remove an item that was used; with an act, one that a person has seen to.

        Raises
        ------
        NotFound : a person named an item that is not there.
        """
        ...

    def pulse(self, *, cursor: str, bundle_version: str) -> Pulse:
        """Return how the ledger is doing, at once however much it holds.

        Outcomes beyond the position of `cursor` wait; the belief is that of the bundle's bandit.
        """
        ...

    def counts(self) -> Mapping[str, int]:
        """Return the number of decisions, outcomes and rewards."""
        ...

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield an export: `decisions`, `outcomes` or `rewards` as flat dictionaries."""
        ...
