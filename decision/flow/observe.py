"""The use case: the shop tells what happened."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from decision.errors import InvalidInput
from decision.ledger.base import Ledger
from decision.programme.model import Programme
from decision.records import Outcome
from decision.stages.events import check_time, read_properties


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event as the shop sends it, in the names of Segment's e-commerce specification.

    `message_id` makes a repeat harmless; without one, a repeat is known by its content.
    """

    event: str
    customer_id: str
    timestamp: datetime
    properties: dict[str, Any] = {}
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: `rejected` pairs the place in the batch with the reason."""

    accepted: int
    duplicates: int
    rejected: tuple[tuple[int, InvalidInput], ...]


def observe(events: Sequence[Event], *, programme: Programme, ledger: Ledger, now: datetime) -> Receipt:
    """Write the events that can be read; the others come back with their reason. Durable before this returns."""
    outcomes: list[Outcome] = []
    rejected: list[tuple[int, InvalidInput]] = []
    for place, event in enumerate(events):
        try:
            outcomes.append(outcome_of(event, programme=programme, now=now, pointer=f"$[{place}]"))
        except InvalidInput as error:
            rejected.append((place, error))
    new = ledger.record_outcomes(outcomes, now=now)
    return Receipt(accepted=new, duplicates=len(outcomes) - new, rejected=tuple(rejected))


def outcome_of(event: Event, *, programme: Programme, now: datetime, pointer: str = "$") -> Outcome:
    """Return the fact in an event. Raises `InvalidInput`, saying where, when it can't be used."""
    if not 0 < len(event.customer_id) <= 200:
        raise InvalidInput(
            f"Expected a customer id of 1 to 200 characters at {pointer}.customer_id, found {event.customer_id!r}.",
            pointer=f"{pointer}.customer_id",
        )
    if event.timestamp.tzinfo is None:
        raise InvalidInput(
            f"Expected a time with its offset at {pointer}.timestamp, found {event.timestamp.isoformat()}.",
            hint="For example 2026-11-21T10:00:00Z.",
            pointer=f"{pointer}.timestamp",
        )
    check_time(event.timestamp, now=now, pointer=pointer)
    properties = read_properties(event.event, event.properties, currency=programme.currency, pointer=pointer)
    message_id = event.message_id or hashlib.sha256(msgspec.json.encode(event, order="sorted")).hexdigest()
    return Outcome(message_id, event.event, event.customer_id, event.timestamp, properties)
