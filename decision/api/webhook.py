"""What an endpoint is told of a decision: type, timestamp and data, as Standard Webhooks recommends."""

from __future__ import annotations

from datetime import datetime

import msgspec

from decision.api.schemas import ActionAnswer
from decision.programme.model import Programme
from decision.records import Decision, action_named
from decision.stages import explanation

DECISION_MADE = "decision.made"
TEST = "encore.test"


class DecisionData(msgspec.Struct, frozen=True):
    """The decision to deliver: whom, what, and until when it is valid."""

    decision_id: str
    customer_id: str
    trigger: str
    store: str | None
    order_id: str
    action: ActionAnswer
    expires_at: datetime | None


class Message(msgspec.Struct, frozen=True):
    """The body of a webhook. `timestamp` is when the decision was made; `data` is null in a test."""

    type: str
    timestamp: datetime
    data: DecisionData | None


def message_of(decision: Decision, programme: Programme) -> bytes:
    """Return the body that tells a decision; the same at every attempt."""
    action = action_named(decision.action_id)
    promised = decision.promise or explanation.promise(action, programme)
    kind, terms = (promised.kind, dict(promised.terms)) if promised else ("none", {})
    data = DecisionData(
        decision_id=decision.decision_id,
        customer_id=decision.customer_id,
        trigger=decision.trigger,
        store=decision.store,
        order_id=decision.order_id,
        action=ActionAnswer(action.action_id, action.offer, action.channel, kind, terms, decision.coupon),
        expires_at=decision.expires_at,
    )
    return msgspec.json.encode(Message(DECISION_MADE, decision.decided_at, data))


def trial_message(now: datetime) -> bytes:
    """Return the body of a test."""
    return msgspec.json.encode(Message(TEST, now, None))
