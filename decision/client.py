"""Encore from Python: ask for decisions and tell events, without ever stopping the till.

    with Encore("https://encore.example.com", key, timeout=0.3) as encore:
        order = OrderFacts("O-1", Money(Decimal("59.90"), "EUR"))
        answer = encore.decide(DecisionQuestion("C-1001", "purchase", order))

A decision is asked for again under the same id until `timeout` is over; a question that gets no answer by then is
answered `control` here, with the reason. Events are never answered for: what was not taken is an error.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TypeVar

import msgspec

from decision import __version__
from decision.api.fallback import fallback
from decision.api.recommendations import without_products
from decision.api.schemas import (
    Candidates,
    DecisionAnswer,
    DecisionQuestion,
    EventReceipt,
    Money,
    OrderFacts,
    Problem,
)
from decision.errors import EncoreError
from decision.event import Event
from decision.exchange import Address, Answer, Connections
from decision.ids import new_decision_id

__all__ = [
    "Candidates",
    "DecisionAnswer",
    "DecisionQuestion",
    "Encore",
    "EncoreError",
    "Event",
    "EventReceipt",
    "Money",
    "OrderFacts",
    "Refused",
    "Unreachable",
]

T = TypeVar("T")
log = logging.getLogger("encore.client")
ANSWER_LIMIT = 4 * 1024 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 2.0
# Somebody before Encore, or Encore itself, has too much to do for now.
BUSY = (429, 502, 503, 504)
# After so many questions in a row without an answer, customers don't wait for one: it is tried once in a while.
TRIED, TRY_EVERY = 5, 1.0

_encoder = msgspec.json.Encoder()
_decision = msgspec.json.Decoder(DecisionAnswer)
_receipt = msgspec.json.Decoder(EventReceipt)
_problem = msgspec.json.Decoder(Problem)


class Refused(EncoreError):
    """Encore says that something is wrong with what was sent, or with the key: sent again, it is refused again."""

    code = "refused"

    def __init__(self, message: str, *, hint: str = "", pointer: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.pointer = pointer
        self.status = status


class Unreachable(EncoreError):
    """There is no answer: no connection, a server in trouble, or (with the code `timeout`) too late a one."""

    def __init__(self, message: str, *, code: str = "unreachable", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Encore:
    """A client for any number of threads. One is enough for a process, and for those that it forks."""

    def __init__(
        self, url: str, key: str, *, timeout: float = 0.5, event_timeout: float = 10.0, strict: bool = False
    ) -> None:
        """Connect to nothing yet.

        Parameters
        ----------
        url : where Encore is, such as `https://encore.example.com`.
        key : of the role checkout.
        timeout : seconds after which `decide` has answered, with all its attempts.
        event_timeout : seconds after which telling events is given up, with all attempts.
        strict : whether a refused question raises `Refused`, for development and tests; else it is answered control.

        Raises
        ------
        InvalidInput : nobody can be called at the URL.
        """
        address = Address(url)
        self._connections = Connections(address)
        self._prefix = address.prefix
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": f"encore-python/{__version__}",
        }
        self._timeout, self._event_timeout, self._strict = timeout, event_timeout, strict
        self._breaker = _Breaker()
        self._random = random.Random()
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()

    def decide(self, question: DecisionQuestion) -> DecisionAnswer:
        """Return the decision; control with `recorded` false and a reason where there is none in time.

        The reason is `timeout`, `unreachable` or `refused`. Without a `decision_id` the question gets one, so that
        attempts are one decision.

        Raises
        ------
        Refused : with `strict` only: something is wrong with the question or the key.
        """
        until = time.monotonic() + self._timeout
        now = datetime.now(UTC)
        decision_id = question.decision_id or new_decision_id(now)
        try:
            if not self._breaker.lets_through(time.monotonic()):
                raise Unreachable(f"Not asked: the last {TRIED} questions and more had no answer.")
            body = _json(msgspec.structs.replace(question, decision_id=decision_id))
            found = self._read(self._asked("/v1/decisions", body, until), _decision)
            if found.decision_id != decision_id:
                raise Unreachable(f"Expected decision {decision_id}, found {found.decision_id}.")
        except Unreachable as fault:
            self._note(fault.code, answered=False)
            log.warning("decision %s is control: %s", decision_id, fault)
            return without_products(question, fallback(decision_id, code=fault.code, detail=str(fault), now=now))
        except Refused as fault:
            self._note(fault.code, answered=True)
            if self._strict:
                raise
            log.error("decision %s is control: %s", decision_id, fault)
            return without_products(question, fallback(decision_id, code=fault.code, detail=str(fault), now=now))
        self._note("decided", answered=True)
        return found

    def event(self, event: Event) -> EventReceipt:
        """Tell an event; it is durable when this returns.

        Raises
        ------
        Refused : it can't be used, or the key can't.
        Unreachable : it was not taken within `event_timeout`; sent again, it does not count twice.
        """
        return self._told(_json(event))

    def events(self, events: Sequence[Event]) -> EventReceipt:
        """Tell up to a thousand events; look into `rejected` for those that can't be used. Raises as `event` does."""
        return self._told(_json({"batch": list(events)}))

    def _told(self, body: bytes) -> EventReceipt:
        return self._read(self._asked("/v1/events", body, time.monotonic() + self._event_timeout), _receipt)

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how many questions were `decided`, and how many answered here: `timeout`, `unreachable`, `refused`."""
        with self._counting:
            return dict(self._counts)

    def _note(self, code: str, *, answered: bool) -> None:
        self._breaker.note(answered=answered)
        with self._counting:
            self._counts[code] += 1

    def _asked(self, path: str, body: bytes, until: float) -> Answer:
        """Send a body until it is answered. Raises `Refused`, or `Unreachable` when there is no time for another go."""
        pause, fault = FIRST_PAUSE, None
        while True:
            least = 0.0
            try:
                answer = self._connections.post(
                    self._prefix + path, body, self._headers, until=until, limit=ANSWER_LIMIT
                )
                if answer.status not in BUSY:
                    return answer
                fault, least = (
                    Unreachable(f"Expected an answer, found status {answer.status}."),
                    answer.retry_after or 0,
                )
            except TimeoutError:
                # What went wrong before tells more than that there was no time left for another go.
                raise fault or Unreachable("Expected an answer in time, found none.", code="timeout") from None
            except OSError as error:
                fault = Unreachable(f"Expected an answer, found: {error or type(error).__name__}.")
            wait = max(least, pause * self._random.uniform(0.5, 1.5))
            if time.monotonic() + wait >= until:
                raise fault
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _read(self, answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
        try:
            if answer.status < 300:
                return decoder.decode(answer.body)
            if 400 <= answer.status < 500:
                said = _problem.decode(answer.body)
                raise Refused(said.detail, hint=said.hint, pointer=said.pointer, status=answer.status)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        raise Unreachable(
            f"Expected an answer of Encore, found another of status {answer.status}.", hint="Is the URL right?"
        )

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()

    def __enter__(self) -> Encore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _json(value: object) -> bytes:
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Refused(f"Expected what JSON can hold, found otherwise: {error}.") from None


class _Breaker:
    """Knows whether asking is worth a customer's wait: after `TRIED` failures in a row, once every `TRY_EVERY` s."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed = 0
        self._next = 0.0

    def lets_through(self, now: float) -> bool:
        with self._lock:
            if self._failed >= TRIED:
                if now < self._next:
                    return False
                self._next = now + TRY_EVERY
            return True

    def note(self, *, answered: bool) -> None:
        with self._lock:
            self._failed = 0 if answered else self._failed + 1
