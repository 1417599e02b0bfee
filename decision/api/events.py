"""`POST /v1/events`: one event or a batch."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from decision.api import parsing
from decision.api.problem import answer
from decision.api.schemas import EventReceipt, RejectedEvent
from decision.errors import InvalidInput
from decision.flow.observe import Event, observe
from decision.wiring import Shop, utc_now

BODY_LIMIT = 1024 * 1024
BATCH_LIMIT = 1_000


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to a thousand events; each is taken or rejected by itself."""

    batch: list[Event]


_one = msgspec.json.Decoder(Event)
_many = msgspec.json.Decoder(EventBatch)
_loose = msgspec.json.Decoder(dict[str, msgspec.Raw])


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of events."""
    routes = Blueprint("events", __name__)

    @routes.post("/v1/events")
    def post_events() -> Response:
        body = parsing.body_of(request, limit=BODY_LIMIT)
        is_batch = "batch" in parsing.decode(body, _loose)
        events = parsing.decode(body, _many).batch if is_batch else [parsing.decode(body, _one)]
        if len(events) > BATCH_LIMIT:
            raise InvalidInput(
                f"Expected at most {BATCH_LIMIT} events at $.batch, found {len(events)}.",
                hint="Send several batches.",
                pointer="$.batch",
            )
        receipt = observe(events, programme=shop.serving.programme, ledger=shop.ledger, now=utc_now())
        if receipt.rejected and not is_batch:
            raise receipt.rejected[0][1]
        rejected = tuple(RejectedEvent(place, str(e), f"$.batch{e.pointer[1:]}") for place, e in receipt.rejected)
        return answer(EventReceipt(receipt.accepted, receipt.duplicates, rejected))

    return routes
