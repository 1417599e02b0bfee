"""Group commit: writes that come while another is on its way to the disk are committed together, by one of them.

The first to come leads: it waits for its turn, takes every write that has come by then, commits them in one
transaction, tells their threads, and hands on to the first that has come since.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from decision.errors import EncoreError, LedgerError

W = TypeVar("W")
D = TypeVar("D")


class _Ticket(Generic[W]):
    """A write under way: taken by a leader or not yet, and what became of it."""

    def __init__(self, write: W) -> None:
        self.write = write
        self.settled = False
        self.leads = False
        self.refusal: BaseException | None = None
        self._news = threading.Lock()
        self._news.acquire()

    def tell(self) -> None:
        """Wake the thread that waits for news."""
        self._news.release()

    def heard(self, *, timeout: float) -> bool:
        """Wait for news; a negative timeout waits for as long as it takes."""
        return self._news.acquire(timeout=timeout)


class GroupCommit(Generic[W, D]):
    """Commits writes of the threads of a process in groups.

    `transaction` opens one within so many seconds; `apply` executes writes in it and returns, in their order, None or
    why a write is refused, having written nothing of it.
    """

    def __init__(
        self,
        transaction: Callable[[float], AbstractContextManager[D]],
        apply: Callable[[D, Sequence[W]], Sequence[EncoreError | None]],
    ) -> None:
        """Nothing is opened before the first write."""
        self._transaction = transaction
        self._apply = apply
        self._state = threading.Lock()
        self._queue: deque[_Ticket[W]] = deque()
        self._led = False

    def commit(self, write: W, *, patience: float) -> None:
        """Return when the write is durable.

        Raises
        ------
        EncoreError : why this write is refused.
        LedgerError : the turn has not come within `patience` seconds, or the transaction of the group failed.
        """
        until = time.monotonic() + patience
        ticket = _Ticket(write)
        with self._state:
            self._queue.append(ticket)
            if not self._led:
                self._led = ticket.leads = True
        if not ticket.leads:
            self._wait(ticket, patience)
        if not ticket.settled:
            self._lead(until)
        if ticket.refusal is not None:
            raise ticket.refusal

    def _wait(self, ticket: _Ticket[W], patience: float) -> None:
        """Wait until the write is settled or has to lead."""
        if ticket.heard(timeout=patience):
            return
        with self._state:
            waits = ticket in self._queue and not ticket.leads
            if waits:
                self._queue.remove(ticket)
        if waits:
            raise LedgerError(
                f"Expected to write to the ledger within {patience:g} s, found another writer who does not come "
                "to an end.",
                hint="Does the disk answer?",
            )
        # It is on its way to the disk, and what becomes of it must be known.
        ticket.heard(timeout=-1)

    def _lead(self, until: float) -> None:
        """Commit all writes that have come when the turn comes; the leader's own is the first of them."""
        group: Sequence[_Ticket[W]] = ()
        try:
            with self._transaction(max(until - time.monotonic(), 0.0)) as db:
                group = self._taken()
                refusals = self._apply(db, [ticket.write for ticket in group])
            for ticket, refusal in zip(group, refusals, strict=True):
                ticket.refusal = refusal
        except BaseException as fault:
            # Before its transaction has begun, only the leader has failed: the others have patience of their own.
            group = group or (self._first(),)
            group[0].refusal = fault
            for ticket in group[1:]:
                ticket.refusal = _spread(fault)
        finally:
            self._hand_on(group)

    def _taken(self) -> Sequence[_Ticket[W]]:
        with self._state:
            group = tuple(self._queue)
            self._queue.clear()
        return group

    def _first(self) -> _Ticket[W]:
        with self._state:
            return self._queue.popleft()

    def _hand_on(self, group: Sequence[_Ticket[W]]) -> None:
        with self._state:
            successor = self._queue[0] if self._queue else None
            self._led = successor is not None
            if successor is not None:
                successor.leads = True
                successor.tell()
        for ticket in group:
            ticket.settled = True
            if not ticket.leads:
                ticket.tell()


def _spread(fault: BaseException) -> LedgerError:
    if isinstance(fault, LedgerError):
        return LedgerError(fault.message, hint=fault.hint)
    return LedgerError(f"Expected a group of writes to be committed, one of them failed: {fault!r}.")
