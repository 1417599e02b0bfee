"""`POST /v1/events`: one event or a batch."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from decision.api import parsing
from decision.api.auth import open_to
from decision.api.problem import answer
from decision.api.schemas import EventReceipt, RejectedEvent
from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.observe import observe
from decision.stages.keys import Role
from decision.watching.seen import seen_in
from decision.wiring import Shop, utc_now

BODY_LIMIT = 1024 * 1024


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to a thousand events; each is taken or rejected by itself."""

    batch: list[Event]


class _Parcel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch whose events have not been looked at yet."""

    batch: list[msgspec.Raw]


_one = msgspec.json.Decoder(Event)
_many = msgspec.json.Decoder(_Parcel)
_loose = msgspec.json.Decoder(dict[str, msgspec.Raw])


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of events."""
    routes = Blueprint("events", __name__)

    @routes.post("/v1/events")
    @open_to(Role.CHECKOUT)
    def post_events() -> Response:
        body = parsing.body_of(request, limit=BODY_LIMIT)
        is_batch = "batch" in parsing.decode(body, _loose)
        raw = parsing.decode(body, _many).batch if is_batch else [msgspec.Raw(body)]
        parsing.check_batch(len(raw), what="events")
        pointers = [f"$.batch[{place}]" for place in range(len(raw))] if is_batch else ["$"]
        receipt = observe(
            [_event(one, pointer) for one, pointer in zip(raw, pointers, strict=True)],
            programme=shop.serving.programme,
            ledger=shop.ledger,
            now=utc_now(),
            pointers=pointers,
        )
        seen_in(request.environ).observed(receipt)
        if receipt.rejected and not is_batch:
            raise receipt.rejected[0][1]
        rejected = tuple(
            RejectedEvent(place, str(error), error.pointer or pointers[place]) for place, error in receipt.rejected
        )
        return answer(EventReceipt(receipt.accepted, receipt.duplicates, rejected))

    return routes


def _event(raw: msgspec.Raw, pointer: str) -> Event | InvalidInput:
    try:
        return parsing.decode(raw, _one, root=pointer)
    except InvalidInput as error:
        return error
