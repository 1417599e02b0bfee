"""Segment's tracking API, for the clients a shop already has: `/v1/batch`, `/v1/track`, `/v1/identify`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, request

from decision.api import parsing
from decision.api.auth import open_to
from decision.api.compat.segment_reading import Call
from decision.api.problem import answer
from decision.api.schemas import RejectedEvent
from decision.errors import InboxFull, InvalidInput
from decision.event import Event
from decision.flow.observe import observe
from decision.ledger.base import InboxItem
from decision.stages.keys import Role
from decision.watching.seen import seen_in
from decision.wiring import Shop, utc_now

# Segment's own limit of a batch is 500 KB.
BODY_LIMIT = 512 * 1024


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
    """An event, or why there is none, with the call it came from and its place."""

    place: int
    event: Event | InvalidInput
    call: Call


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
        call = Call(raw, kind, sent_at, now)
        try:
            events = call.events(root=root.format(place))
            ignored += not events
            told += [_Told(place, event, call) for event in events]
        except InvalidInput as error:
            told.append(_Told(place, error, call))
    receipt = observe(
        [one.event for one in told],
        programme=shop.serving.programme,
        ledger=shop.ledger,
        now=now,
        pointers=[root.format(one.place) for one in told],
    )
    seen_in(request.environ).observed(receipt)
    _keep(shop, {told[n].place: told[n].call.inbox_item(str(error)) for n, error in receipt.rejected})
    for _ in receipt.rejected:
        shop.count_fault("segment_rejected")
    rejected = tuple(
        RejectedEvent(told[n].place, str(error), error.pointer or root.format(told[n].place))
        for n, error in receipt.rejected
    )
    return SegmentReceipt(True, receipt.accepted, receipt.duplicates, ignored, rejected)


def _keep(shop: Shop, items: Mapping[int, InboxItem]) -> None:
    """Keep the calls that were rejected: clients drop what is answered 200."""
    if not items:
        return
    try:
        shop.ledger.put_in_inbox(*items.values())
    except InboxFull:
        # Sent again it would be no better: it is counted, and the client goes on.
        shop.count_fault("segment_inbox_full")
