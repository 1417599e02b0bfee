"""The use case: another system delivers what was decided, and Encore knows what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from decision.ledger.base import Ledger
from decision.programme.model import Programme
from decision.records import Decision
from decision.stages.delivery import Delivery, Endpoint, Reply, State, after, obstacle, queued, quiet_until

BATCH = 1_000
# Clocks of shops differ; what happened to the order is looked for from a day before the decision to a day from now.
AROUND = timedelta(days=1)
Send = Callable[[Decision], Reply]


def collect(endpoint: Endpoint, *, ledger: Ledger, now: datetime) -> int:
    """Queue a message for each decision since the last time that is for the endpoint; return how many."""
    found = 0
    while True:
        decisions, position = ledger.outbox.decided(endpoint.name, limit=BATCH)
        if not decisions:
            return found
        wanted = [queued(decision, endpoint, now=now) for decision in decisions if endpoint.wants(decision)]
        ledger.outbox.queue(endpoint.name, wanted, position=position)
        found += len(wanted)


def attempt(
    delivery: Delivery, *, programme: Programme, ledger: Ledger, send: Send, now: datetime, jitter: float
) -> tuple[Delivery, Reply | None]:
    """Send a message, unless something stands against it; return it as it is now, and the reply if it was sent.

    What is returned is not yet written: until then it may be sent again, under the same id.
    """
    decision = ledger.decision(delivery.decision_id)
    if decision is None:
        return replace(delivery, state=State.WITHHELD, changed_at=now, note="the decision is gone"), None
    since = ledger.outcomes_of(decision.customer_id, start=decision.decided_at - AROUND, end=now + AROUND)
    customer = ledger.customer(decision.customer_id, contacts_since=now)
    if found := obstacle(decision, delivery, customer=customer, since=since, now=now):
        return replace(delivery, state=found[0], changed_at=now, note=found[1]), None
    if end := quiet_until(decision, programme, now=now):
        return replace(delivery, due_at=end, changed_at=now, note="quiet hours"), None
    reply = send(decision)
    return after(delivery, reply, now=now, jitter=jitter), reply
