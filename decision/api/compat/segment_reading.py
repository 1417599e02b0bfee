"""What a call of a Segment client says, in Encore's events, and what of it is kept where it can't be used."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from decision.api import parsing
from decision.api.compat import segment_names
from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.receive import Delivery, Reading, Source
from decision.ledger.base import InboxItem
from decision.programme.model import Programme
from decision.stages.events import SUBSCRIBED, UNSUBSCRIBED

NAME = "segment"
# Segment's own limit of a call: of a longer one nothing is kept.
CALL_LIMIT = 32 * 1024
LONGEST_TOPIC = 100
LONGEST_CUSTOMER = 200


class SegmentMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A call of a Segment client; what is not named here is left aside."""

    type: str = ""
    event: str | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    message_id: str | None = None
    timestamp: datetime | None = None
    sent_at: datetime | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came: by itself, or in a batch that was sent at a time. `kind` is what a call without one is."""

    raw: msgspec.Raw
    kind: str
    sent_at: datetime | None
    received_at: datetime

    def events(self, *, root: str) -> list[Event]:
        """Return what it says; nothing where that is of no use. Raises `InvalidInput` when it can't be read."""
        message = parsing.decode(self.raw, _decoder, root=root)
        at = corrected(message, self.sent_at, received_at=self.received_at)
        return _events(message, message.type or self.kind, at=at)

    def inbox_item(self, reason: str) -> InboxItem:
        """Return what is kept of it for a person, so that it can be read again later."""
        found = self._kept()
        names = [found.get(name) for name in ("event", "type")]
        body = msgspec.json.encode(found)
        return InboxItem(
            at=self.received_at,
            source=NAME,
            topic=next((name[:LONGEST_TOPIC] for name in names if name and isinstance(name, str)), ""),
            sender="",
            body=body.decode() if len(body) <= CALL_LIMIT else "",
            reason=reason,
            customer_id=_whose(found),
        )

    def _kept(self) -> dict[str, Any]:
        try:
            call = msgspec.json.decode(self.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        if not isinstance(call, dict):
            return {}
        found = {name: call[name] for name in _KEPT if name in call}
        if isinstance(found.get("traits"), dict):
            found["traits"] = {name: value for name, value in found["traits"].items() if name == "consent"}
        with suppress(msgspec.ValidationError):
            # Whoever looks later has no clock to put it right by.
            found["timestamp"] = corrected(_decoder.decode(self.raw), self.sent_at, received_at=self.received_at)
        return {"type": self.kind, "timestamp": self.received_at} | found


_decoder = msgspec.json.Decoder(SegmentMessage)
_KEPT = tuple(field.encode_name for field in msgspec.structs.fields(SegmentMessage) if field.name != "sent_at")


def _whose(call: Mapping[str, Any]) -> str | None:
    """Return the customer of a call, None where there is none that could be in the ledger."""
    customer = call.get("userId") if call.get("userId") not in (None, "") else call.get("anonymousId")
    known = isinstance(customer, str | int) and 0 < len(str(customer)) <= LONGEST_CUSTOMER
    return str(customer) if known else None


def read(delivery: Delivery, programme: Programme) -> Reading:
    """Return what a call in the inbox says. Raises `InvalidInput` when it can't be read."""
    message = parsing.decode(delivery.body, _decoder)
    if message.timestamp is None:
        raise InvalidInput("Expected a call with its time, found none.", pointer="$.timestamp")
    events = tuple(_events(message, message.type, at=message.timestamp))
    return Reading(events, ignored="" if events else "It says nothing that Encore needs.")


SEGMENT = Source(NAME, read, lambda body: body.decode(errors="replace"))


def corrected(message: SegmentMessage, sent_at: datetime | None, *, received_at: datetime) -> datetime:
    """Return when a call happened by our clock: its age by the sender's clock, before it was received.

    Without a time of sending, the timestamp is believed; without a timestamp, it happened now.
    """
    happened, sent = message.timestamp, message.sent_at or sent_at
    if happened is None:
        return received_at
    if sent is None or happened.tzinfo is None or sent.tzinfo is None:
        return happened
    try:
        return received_at - (sent - happened)
    except OverflowError:
        # Outside of all years: no clock is as wrong as that.
        return happened


def _events(message: SegmentMessage, kind: str, *, at: datetime) -> list[Event]:
    customer = message.user_id if message.user_id not in (None, "") else message.anonymous_id
    customer_id = "" if customer is None else str(customer)
    if kind == "track":
        name = message.event or ""
        facts = segment_names.properties_of(name, message.properties or {})
        return [Event(segment_names.name_of(name), customer_id, at, facts, message.message_id)]
    if kind in ("page", "screen"):
        return [Event("Page Viewed", customer_id, at, dict(message.properties or {}), message.message_id)]
    consent = (message.traits or {}).get("consent") if kind == "identify" else None
    if not isinstance(consent, dict):
        return []
    return [
        Event(
            SUBSCRIBED if given else UNSUBSCRIBED,
            customer_id,
            at,
            {"channel": channel},
            f"{message.message_id}:{channel}" if message.message_id else None,
        )
        for channel, given in consent.items()
        if isinstance(given, bool)
    ]
