"""Segment's tracking API, for the clients a shop already has: `/v1/batch`, `/v1/track`, `/v1/identify`."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, request

from decision.api import parsing
from decision.api.auth import open_to
from decision.api.compat import segment_names
from decision.api.problem import answer
from decision.api.schemas import RejectedEvent
from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.observe import observe
from decision.stages.events import SUBSCRIBED, UNSUBSCRIBED
from decision.stages.keys import Role
from decision.watching.seen import seen_in
from decision.wiring import Shop, utc_now

# Segment's own limit of a batch is 500 KB.
BODY_LIMIT = 512 * 1024


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


class SegmentBatch(msgspec.Struct, frozen=True, rename="camel"):
    """Up to a thousand calls of a Segment client; each is taken or rejected by itself."""

    batch: list[dict[str, Any]]
    sent_at: datetime | None = None


class SegmentReceipt(msgspec.Struct, frozen=True):
    """What became of the calls; `ignored` are those that say nothing Encore needs, such as `group`."""

    success: bool
    accepted: int
    duplicates: int
    ignored: int
    rejected: tuple[RejectedEvent, ...]


class _Parcel(msgspec.Struct, frozen=True, rename="camel"):
    """A batch whose calls have not been looked at yet."""

    batch: list[msgspec.Raw]
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """An event, or why there is none, and the place of the call it came from."""

    place: int
    event: Event | InvalidInput


_one = msgspec.json.Decoder(SegmentMessage)
_many = msgspec.json.Decoder(_Parcel)


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of Segment's tracking API."""
    routes = Blueprint("segment", __name__)

    @routes.post("/v1/batch")
    @open_to(Role.CHECKOUT)
    def post_batch() -> Response:
        parcel = parsing.decode(_body(), _many)
        parsing.check_batch(len(parcel.batch), what="calls")
        return answer(_receive(shop, parcel.batch, "", sent_at=parcel.sent_at, root="$.batch[{}]"))

    @routes.post("/v1/track")
    @open_to(Role.CHECKOUT)
    def post_track() -> Response:
        return answer(_receive(shop, [_call()], "track", sent_at=None, root="$"))

    @routes.post("/v1/identify")
    @open_to(Role.CHECKOUT)
    def post_identify() -> Response:
        return answer(_receive(shop, [_call()], "identify", sent_at=None, root="$"))

    return routes


def _call() -> msgspec.Raw:
    """Return a call that comes alone. Raises `BadJson`: there is no batch whose other calls would do."""
    body = _body()
    parsing.check_json(body)
    return msgspec.Raw(body)


def _body() -> bytes:
    body = parsing.body_of(request, limit=BODY_LIMIT)
    if request.headers.get("Content-Encoding", "").lower() != "gzip":
        return body
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(body, BODY_LIMIT + 1)
    except zlib.error:
        abort(400, "Expected a body that is packed as its Content-Encoding says, found another.")
    if len(unpacked) > BODY_LIMIT:
        abort(413, f"Expected a body of at most {BODY_LIMIT:,} bytes when unpacked, found a larger one.")
    return unpacked


def _receive(
    shop: Shop, calls: Sequence[msgspec.Raw], kind: str, *, sent_at: datetime | None, root: str
) -> SegmentReceipt:
    now = utc_now()
    told: list[_Told] = []
    ignored = 0
    for place, raw in enumerate(calls):
        try:
            message = parsing.decode(raw, _one, root=root.format(place))
            events = _events(message, message.type or kind, at=corrected(message, sent_at, received_at=now))
            ignored += not events
            told += [_Told(place, event) for event in events]
        except InvalidInput as error:
            told.append(_Told(place, error))
    receipt = observe(
        [one.event for one in told],
        programme=shop.serving.programme,
        ledger=shop.ledger,
        now=now,
        pointers=[root.format(one.place) for one in told],
    )
    seen_in(request.environ).observed(receipt)
    if receipt.rejected:
        # Clients drop what is answered 200: what was wrong must show somewhere else too.
        for _ in receipt.rejected:
            shop.count_fault("segment_rejected")
    rejected = tuple(
        RejectedEvent(told[n].place, str(error), error.pointer or root.format(told[n].place))
        for n, error in receipt.rejected
    )
    return SegmentReceipt(True, receipt.accepted, receipt.duplicates, ignored, rejected)


def corrected(message: SegmentMessage, sent_at: datetime | None, *, received_at: datetime) -> datetime:
    """Return when a call happened by our clock: its age by the sender's clock, before it was received.

    Without a time of sending, the timestamp is believed; without a timestamp, it happened now.
    """
    happened, sent = message.timestamp, message.sent_at or sent_at
    if happened is None:
        return received_at
    if sent is None or happened.tzinfo is None or sent.tzinfo is None:
        return happened
    return received_at - (sent - happened)


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
