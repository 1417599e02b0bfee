"""Delivering a decision through another system: who is told, when no more, and what follows an attempt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from decision.errors import InvalidInput
from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import Customer, Decision, Outcome, action_named
from decision.stages.events import OF_ORDERS, KnownOrder
from decision.stages.guardrails import within

# What follows a purchase is no use a week later. Attempts end well before.
LATEST = timedelta(days=3)
ATTEMPTS = 10
FIRST_WAIT, GROWTH, LONGEST_WAIT = timedelta(seconds=5), 4, timedelta(hours=12)
# Somebody who says so much of it gets no message for a day.
LONGEST_PATIENCE = timedelta(days=1)
BUSY = frozenset({429, 502, 503, 504})
GONE = 410
ON_PAGE = "on_page"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


class State(StrEnum):
    """What became of a message: `withheld` was rightly not sent any more, `dead` is given up until somebody retries."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    WITHHELD = "withheld"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A system that delivers: it is told decisions of its channels. `stopped` says why it is told none any more."""

    name: str
    url: str
    channels: tuple[str, ...]
    created_at: datetime
    stopped: str = ""

    def __post_init__(self) -> None:
        """Check the name, which is that of a file and of a variable as well."""
        if not _NAME.fullmatch(self.name):
            raise InvalidInput(
                f"Expected a name of up to 40 small letters, digits and _ for an endpoint, found {self.name[:60]!r}."
            )

    @property
    def shown(self) -> str:
        """Return the URL for lists and logs: what follows a question mark may be secret."""
        address, mark, _ = self.url.partition("?")
        return f"{address}?…" if mark else address

    def wants(self, decision: Decision) -> bool:
        """Return whether this decision is for the endpoint to deliver; what was imported has long been."""
        return not decision.imported and action_named(decision.action_id).channel in self.channels


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to an endpoint about a decision, and how far it is.

    `queued_at` is when it could first be sent: when the decision was made, or when somebody asked to retry.
    """

    endpoint: str
    decision_id: str
    state: State
    attempts: int
    queued_at: datetime
    due_at: datetime
    changed_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an attempt brought: a status, or none where there was no answer; `detail` says it in words."""

    status: int | None
    detail: str
    retry_after: timedelta | None = None

    @property
    def taken(self) -> bool:
        """Return whether the endpoint has taken the message over."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def unwell(self) -> bool:
        """Return whether it is the endpoint that fails and not the message: others need not be tried now."""
        return self.status is None or self.status in BUSY


def message_id(decision_id: str) -> str:
    """Return the id under which every attempt and every endpoint is told of a decision.

    It is part of what is signed, where dots separate: a decision id may hold some.
    """
    return "msg_" + hashlib.sha256(decision_id.encode()).hexdigest()[:32]


def queued(decision: Decision, endpoint: Endpoint, *, now: datetime) -> Delivery:
    """Return the message about a decision that waits for its first attempt."""
    at = decision.decided_at
    return Delivery(endpoint.name, decision.decision_id, State.WAITING, 0, queued_at=at, due_at=at, changed_at=now)


def obstacle(
    decision: Decision, delivery: Delivery, *, customer: Customer, since: Iterable[Outcome], now: datetime
) -> tuple[State, str] | None:
    """Return why a message is not sent any more, or None; `since` are the customer's outcomes around the decision."""
    channel = action_named(decision.action_id).channel
    if decision.expires_at is not None and decision.expires_at <= now:
        return State.WITHHELD, "the offer has expired"
    if customer.opted_out or customer.consented(channel) is False:
        return State.WITHHELD, f"she does not want {channel} any more"
    if decision.trigger == "purchase" and _undone(decision, since):
        return State.WITHHELD, "the order was cancelled or refunded"
    if now - delivery.queued_at > LATEST:
        return State.DEAD, f"older than {LATEST.days} days"
    return None


def _undone(decision: Decision, since: Iterable[Outcome]) -> bool:
    order = KnownOrder()
    for outcome in since:
        if outcome.properties.get("order_id") == decision.order_id and outcome.name in OF_ORDERS:
            order = order.after(outcome)
    total = decision.context.get("order_total")
    paid = round(total * MICROS) if isinstance(total, float | int) else order.revenue_micros
    return order.cancelled or order.refunded_in_full or (order.refunded and order.refunded_micros >= paid)


def quiet_until(decision: Decision, programme: Programme, *, now: datetime) -> datetime | None:
    """Return when the quiet hours of the decision's channel end, or None outside of them."""
    channel = programme.channels.get(action_named(decision.action_id).channel)
    local = now.astimezone(programme.timezone)
    if channel is None or channel.quiet_hours is None or not within(local.time(), *channel.quiet_hours):
        return None
    end = datetime.combine(local.date(), channel.quiet_hours[1], programme.timezone)
    if end <= local:
        end = datetime.combine(local.date() + timedelta(days=1), channel.quiet_hours[1], programme.timezone)
    return end.astimezone(UTC)


def after(delivery: Delivery, reply: Reply, *, now: datetime, jitter: float) -> Delivery:
    """Return a message after an attempt. `jitter` in [0, 1) spreads the next ones of many that failed together."""
    attempts = delivery.attempts + 1
    tried = replace(delivery, attempts=attempts, changed_at=now, note=reply.detail)
    if reply.taken:
        return replace(tried, state=State.DELIVERED)
    if attempts >= ATTEMPTS:
        return replace(tried, state=State.DEAD)
    return replace(tried, due_at=now + wait_after(attempts, reply, jitter=jitter))


def wait_after(failures: int, reply: Reply, *, jitter: float) -> timedelta:
    """Return how long to wait after so many failures in a row: 5 s, 20 s, … half a day, each by half more or less."""
    growth: int = GROWTH ** min(failures - 1, 10)
    usual = min(FIRST_WAIT * growth, LONGEST_WAIT) * (0.5 + jitter)
    asked = min(reply.retry_after or timedelta(), LONGEST_PATIENCE)
    return max(usual, asked)
