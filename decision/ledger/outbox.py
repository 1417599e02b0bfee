"""The contract of the outbox: what other systems are told, and what became of it. Part of every ledger.

Nothing is written beside a decision: the outbox follows the decisions in the order in which they were committed, so a
message exists for each that was, for none that was not, and the till pays nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from decision.records import Decision
from decision.stages.delivery import Delivery, Endpoint, State


class Outbox(Protocol):
    """Endpoints and their messages. Every write has been committed when the call returns."""

    def endpoints(self) -> list[Endpoint]:
        """Return all endpoints by name, with those that were stopped."""
        ...

    def add(self, endpoint: Endpoint, *, actor: str) -> None:
        """Write a new endpoint that is told decisions from now on, and the act `webhook added`.

        Raises
        ------
        LedgerError : there is one of this name.
        """
        ...

    def stop(self, name: str, *, reason: str, actor: str, now: datetime) -> None:
        """Tell an endpoint no more decisions, and write the act `webhook stopped`; an empty reason starts it again.

        Raises
        ------
        NotFound : there is no such endpoint.
        """
        ...

    def decided(self, endpoint: str, *, limit: int) -> tuple[list[Decision], int]:
        """Return the next decisions that an endpoint was not yet asked about, and the position of the last.

        However writers came together, none is passed over: a position is given only where no earlier one can follow.
        """
        ...

    def queue(self, endpoint: str, deliveries: Sequence[Delivery], *, position: int) -> None:
        """Write messages of an endpoint, and in the same transaction that it was asked up to a position.

        A message that exists stays as it is.
        """
        ...

    def due(self, endpoint: str, *, now: datetime, limit: int) -> list[Delivery]:
        """Return waiting messages whose next attempt is due, the longest due first."""
        ...

    def save(self, deliveries: Sequence[Delivery]) -> None:
        """Replace messages by what became of them."""
        ...

    def of(self, decision_id: str) -> list[Delivery]:
        """Return the messages about a decision, by endpoint."""
        ...

    def dead(self, endpoint: str | None = None) -> list[Delivery]:
        """Return the messages that were given up, the oldest first; of all endpoints, or of one."""
        ...

    def counts(self) -> Mapping[tuple[str, State], int]:
        """Return the number of messages by endpoint and state."""
        ...
