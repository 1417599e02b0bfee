"""The use case: the shop tells what happened."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from decision.errors import InvalidInput
from decision.event import Event
from decision.ledger.base import Ledger
from decision.programme.model import Programme
from decision.programme.section import unknown_name
from decision.records import EVERY_CHANNEL, Outcome
from decision.stages.events import NAMES, SUBSCRIBED, UNSUBSCRIBED, check_time, read_properties

MESSAGE_ID_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: `rejected` pairs the place in the batch with the reason.

    `taken` (duplicates included) and `refused` count events by name; one that nobody knows is `unknown`.
    """

    accepted: int
    duplicates: int
    rejected: tuple[tuple[int, InvalidInput], ...]
    taken: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)


def observe(
    events: Sequence[Event | InvalidInput],
    *,
    programme: Programme,
    ledger: Ledger,
    now: datetime,
    pointers: Sequence[str] | None = None,
) -> Receipt:
    """Write the events that can be read; the others come back with their reason. Durable before this returns.

    An event that had no readable shape stands in its place as the reason why. `pointers` say where each event was
    in what the caller sent; without them, places count from `$[0]`.
    """
    outcomes: list[Outcome] = []
    rejected: list[tuple[int, InvalidInput]] = []
    refused: Counter[str] = Counter()
    for place, event in enumerate(events):
        try:
            if isinstance(event, InvalidInput):
                raise event
            pointer = pointers[place] if pointers else f"$[{place}]"
            outcomes.append(outcome_of(event, programme=programme, now=now, pointer=pointer))
        except InvalidInput as error:
            rejected.append((place, error))
            refused[_known_name(event)] += 1
    new = ledger.record_outcomes(outcomes, now=now)
    taken = Counter(outcome.name for outcome in outcomes)
    return Receipt(new, len(outcomes) - new, tuple(rejected), taken, refused)


def _known_name(event: Event | InvalidInput) -> str:
    return event.event if isinstance(event, Event) and event.event in NAMES else "unknown"


def outcome_of(event: Event, *, programme: Programme, now: datetime, pointer: str = "$") -> Outcome:
    """Return the fact in an event. Raises `InvalidInput`, saying where, when it can't be used."""
    if not 0 < len(event.customer_id) <= 200:
        raise InvalidInput(
            f"Expected a customer id of 1 to 200 characters at {pointer}.customer_id, found {event.customer_id!r}.",
            pointer=f"{pointer}.customer_id",
        )
    if event.message_id is not None and len(event.message_id) > MESSAGE_ID_LIMIT:
        raise InvalidInput(
            f"Expected at most {MESSAGE_ID_LIMIT} characters at {pointer}.message_id, found {len(event.message_id)}.",
            pointer=f"{pointer}.message_id",
        )
    if event.timestamp.tzinfo is None:
        raise InvalidInput(
            f"Expected a time with its offset at {pointer}.timestamp, found {event.timestamp.isoformat()}.",
            hint="For example 2026-11-21T10:00:00Z.",
            pointer=f"{pointer}.timestamp",
        )
    check_time(event.timestamp, now=now, pointer=pointer)
    if event.event in (SUBSCRIBED, UNSUBSCRIBED):
        _check_channel(event.properties.get("channel"), programme, pointer=f"{pointer}.properties.channel")
    properties = read_properties(event.event, event.properties, currency=programme.currency, pointer=pointer)
    message_id = event.message_id or hashlib.sha256(msgspec.json.encode(event, order="sorted")).hexdigest()
    return Outcome(message_id, event.event, event.customer_id, event.timestamp.astimezone(UTC), properties)


def _check_channel(channel: object, programme: Programme, *, pointer: str) -> None:
    """Raise `UnknownName` for a channel that nobody knows: her word would be noted where no decision looks."""
    known = (*programme.channels, EVERY_CHANNEL)
    if channel is not None and channel not in known:
        hint = "Leave the channel out to speak of all of them."
        raise unknown_name("channel", str(channel), known, pointer=pointer, hint=hint)
