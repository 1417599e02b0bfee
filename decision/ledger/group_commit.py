"""Group commit: writes that come while another is on its way to the disk are committed together, by one of them.

The first to come leads: it waits for its turn, takes every write that has come by then, commits them in one
transaction, tells their threads, and hands on to the first that has come since. Nobody can call a leader back who is
held up by the disk. So after a slow commit a thread of its own leads, until the disk is quick again and nothing waits.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from decision.errors import DeadlinePassed, EncoreError, LedgerError

W = TypeVar("W")
D = TypeVar("D")
# A commit that takes longer leaves little of a caller's deadline.
SLOW_SECONDS = 0.02
# How long a leader in a thread of its own waits for its turn.
TURN_SECONDS = 2.0
# After a failure that thread tries again to correct what was withdrawn.
RETRY_SECONDS = 0.2


class _Ticket(Generic[W]):
    """A write under way: taken by a leader or not yet, and what became of it."""

    def __init__(self, write: W) -> None:
        self.write = write
        self.settled = False
        self.leads = False
        self.withdrawn = False
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
    why a write is refused, having written nothing of it. `withdraw` notes, for `apply` to correct later, a write that
    its caller gives up while it may yet be committed; where that can't be noted, OSError, the caller must wait.
    """

    def __init__(
        self,
        transaction: Callable[[float], AbstractContextManager[D]],
        apply: Callable[[D, Sequence[W]], Sequence[EncoreError | None]],
        withdraw: Callable[[W], None],
    ) -> None:
        """Nothing is opened before the first write."""
        self._transaction = transaction
        self._apply = apply
        self._withdraw = withdraw
        self._state = threading.Lock()
        self._queue: deque[_Ticket[W]] = deque()
        self._led = False
        self._slow = False
        # Whether something was withdrawn that no later group has corrected yet.
        self._owing = False

    def commit(self, write: W, *, until: float) -> None:
        """Return when the write is durable.

        Raises
        ------
        EncoreError : why this write is refused.
        DeadlinePassed : it was not durable by `until`, a monotonic time; whatever of it is written will be withdrawn.
        LedgerError : the transaction of the group failed.
        """
        ticket = _Ticket(write)
        with self._state:
            self._queue.append(ticket)
            if not self._led:
                self._appoint()
        if not ticket.leads:
            self._wait(ticket, until)
        if not ticket.settled:
            self._lead(until, own=True)
        if ticket.refusal is not None:
            raise ticket.refusal

    def _appoint(self) -> None:
        """Choose who leads next, holding the state; nobody does while nothing has to be written."""
        self._led = bool(self._queue or self._owing)
        if self._led and (self._slow or self._owing):
            try:
                threading.Thread(target=self._lead_apart, name="commit", daemon=True).start()
                return
            except RuntimeError:
                # No thread to be had: a caller leads, or the next one to come.
                self._led = bool(self._queue)
        if self._led:
            self._queue[0].leads = True
            self._queue[0].tell()

    def _wait(self, ticket: _Ticket[W], until: float) -> None:
        """Wait until the write is settled or has to lead."""
        patience = max(until - time.monotonic(), 0.0)
        if ticket.heard(timeout=patience):
            return
        with self._state:
            if ticket.settled or ticket.leads:
                return
            if ticket in self._queue:
                self._queue.remove(ticket)
                raise _late(patience)
            # It is on its way to the disk: what becomes of it must be corrected, or else be known.
            ticket.withdrawn = self._withdrew(ticket.write)
        if ticket.withdrawn:
            raise _late(patience)
        ticket.heard(timeout=-1)

    def _withdrew(self, write: W) -> bool:
        try:
            self._withdraw(write)
        except OSError:
            return False
        return True

    def _lead_apart(self) -> None:
        """Lead in a thread that no caller waits for, until nothing waits and nothing is owed."""
        while True:
            failed = not self._lead(time.monotonic() + TURN_SECONDS, own=False)
            with self._state:
                if not (self._queue or self._owing):
                    self._led = False
                    return
                if not (self._slow or self._owing):
                    self._appoint()
                    return
            if failed:
                time.sleep(RETRY_SECONDS)

    def _lead(self, until: float, *, own: bool) -> bool:
        """Commit all writes that have come when the turn comes, and return whether that succeeded.

        A leader's `own` write is the first of them, and her successor is appointed in the end.
        """
        group: Sequence[_Ticket[W]] = ()
        began = math.inf
        fault: BaseException | None = None
        try:
            with self._transaction(max(until - time.monotonic(), 0.0)) as db:
                began = time.monotonic()
                group = self._taken()
                refusals = self._apply(db, [ticket.write for ticket in group])
            for ticket, refusal in zip(group, refusals, strict=True):
                ticket.refusal = refusal
        except BaseException as error:
            fault = error
            # Before its transaction has begun, only the leader has failed: the others have patience of their own.
            group = group or ((self._first(),) if own else ())
            for place, ticket in enumerate(group):
                ticket.refusal = fault if own and place == 0 else _spread(fault)
        finally:
            self._settle(group, corrected=fault is None, took=time.monotonic() - began, own=own)
        return fault is None

    def _taken(self) -> Sequence[_Ticket[W]]:
        with self._state:
            group = tuple(self._queue)
            self._queue.clear()
        return group

    def _first(self) -> _Ticket[W]:
        with self._state:
            return self._queue.popleft()

    def _settle(self, group: Sequence[_Ticket[W]], *, corrected: bool, took: float, own: bool) -> None:
        with self._state:
            for ticket in group:
                ticket.settled = True
            self._slow = took > SLOW_SECONDS
            # What this group withdrew can only be corrected by one after it.
            self._owing = (self._owing and not corrected) or any(ticket.withdrawn for ticket in group)
            if own:
                self._appoint()
        for ticket in group:
            if not ticket.leads:
                ticket.tell()


def _late(patience: float) -> DeadlinePassed:
    return DeadlinePassed(
        f"Expected to write to the ledger within {patience:.2g} s, found another writer who does not come to an end.",
        hint="Does the disk answer?",
    )


def _spread(fault: BaseException) -> LedgerError:
    if isinstance(fault, LedgerError):
        return LedgerError(fault.message, hint=fault.hint)
    return LedgerError(f"Expected a group of writes to be committed, one of them failed: {fault!r}.")
