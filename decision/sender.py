"""Sends what is due, each endpoint in a thread of its own, so that a slow one keeps no other waiting."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from decision import webhook_secrets
from decision.api.webhook import message_of
from decision.courier import Courier
from decision.errors import EncoreError
from decision.flow.deliver import attempt, collect
from decision.ledger.base import ENCORE, Ledger
from decision.records import Decision
from decision.stages.delivery import GONE, Delivery, Endpoint, Reply, message_id, wait_after
from decision.wiring import Home

log = logging.getLogger("encore")
# Messages that are under way to an endpoint at a time; what became of them is written together.
PARALLEL = 8
LONGEST_HOLD = timedelta(minutes=5)


class Sender:
    """Delivers a home's messages. Only one may work at a time: see `Home.sending`."""

    def __init__(self, home: Home, ledger: Ledger, *, clock: Callable[[], datetime], rng: random.Random) -> None:
        """Send nothing yet."""
        self._home, self._ledger, self._clock, self._rng = home, ledger, clock, rng
        self._stop = threading.Event()
        self._at_work: dict[str, threading.Thread] = {}
        self._couriers: dict[str, Courier] = {}
        # Endpoints that fail: how often in a row, and until when they are left alone.
        self._failing: dict[str, tuple[int, datetime]] = {}

    def round(self) -> None:
        """Start on every endpoint that nobody is at work on."""
        for endpoint in self._ledger.outbox.endpoints():
            before = self._at_work.get(endpoint.name)
            if not endpoint.stopped and (before is None or not before.is_alive()):
                thread = threading.Thread(target=self._serve, args=[endpoint], name=endpoint.name)
                self._at_work[endpoint.name] = thread
                thread.start()

    def finish(self) -> None:
        """Wait until nothing that can be sent now is left, and close connections."""
        for thread in self._at_work.values():
            thread.join()
        for courier in self._couriers.values():
            courier.close()

    def stop(self) -> None:
        """End after what is under way."""
        self._stop.set()

    def _serve(self, endpoint: Endpoint) -> None:
        try:
            collect(endpoint, ledger=self._ledger, now=self._clock())
            while not self._stop.is_set() and not self._held(endpoint) and self._send_some(endpoint):
                pass
        except EncoreError as error:
            log.error("webhook %s: %s", endpoint.name, error)
        except Exception:
            # Whatever is wrong with one endpoint, the next round tries again, and the others go on.
            log.exception("webhook %s failed", endpoint.name)

    def _held(self, endpoint: Endpoint) -> bool:
        _, until = self._failing.get(endpoint.name, (0, None))
        return until is not None and self._clock() < until

    def _send_some(self, endpoint: Endpoint) -> bool:
        """Send messages that are due; return whether more may be."""
        now = self._clock()
        due = self._ledger.outbox.due(endpoint.name, now=now, limit=PARALLEL)
        if not due:
            return False
        programme = self._home.programme()
        courier = self._courier(endpoint)

        def send(decision: Decision) -> Reply:
            return courier.post(message_id(decision.decision_id), message_of(decision, programme))

        def tried(one: tuple[Delivery, float]) -> tuple[Delivery, Reply | None]:
            delivery, jitter = one
            return attempt(delivery, programme=programme, ledger=self._ledger, send=send, now=now, jitter=jitter)

        with ThreadPoolExecutor(PARALLEL) as pool:
            results = list(pool.map(tried, [(delivery, self._rng.random()) for delivery in due]))
        self._ledger.outbox.save([delivery for delivery, _ in results])
        replies = [reply for _, reply in results if reply is not None]
        for delivery, reply in results:
            if reply is not None and not reply.taken:
                log.warning(
                    "webhook %s: decision %s, attempt %d: %s",
                    *(endpoint.name, delivery.decision_id, delivery.attempts, reply.detail),
                )
        return self._note(endpoint, replies)

    def _note(self, endpoint: Endpoint, replies: list[Reply]) -> bool:
        """Leave an endpoint that fails alone for a while, and one that is gone for good; return whether to go on."""
        now = self._clock()
        if any(reply.status == GONE for reply in replies):
            log.error("webhook %s: it answered 410 and is stopped", endpoint.name)
            self._ledger.outbox.stop(endpoint.name, reason="it answered 410 Gone", actor=ENCORE, now=now)
            return False
        unwell = [reply for reply in replies if reply.unwell]
        if not unwell:
            if replies:
                self._failing.pop(endpoint.name, None)
            return True
        failures = self._failing.get(endpoint.name, (0, now))[0] + 1
        hold = max(wait_after(failures, reply, jitter=self._rng.random()) for reply in unwell)
        asked = max(reply.retry_after or timedelta() for reply in unwell)
        self._failing[endpoint.name] = failures, now + max(min(hold, LONGEST_HOLD), asked)
        return False

    def _courier(self, endpoint: Endpoint) -> Courier:
        if endpoint.name not in self._couriers:
            root = self._home.root
            self._couriers[endpoint.name] = Courier(
                endpoint, lambda: webhook_secrets.read(root, endpoint.name), self._clock
            )
        return self._couriers[endpoint.name]
