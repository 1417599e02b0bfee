"""Tills that go on asking through every fault, with one id a question, and remember each answer."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.02
# A till that gets no answer asks again with the same id, for so long.
GIVES_UP_SECONDS = 60.0
UNMADE = frozenset({"fault", "deadline", "policy_missing"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `kind` is `made`, `control` for one that a fault made, `shed`, `refused`, or `broken`.

    `at` is when it was asked, by the monotonic clock; `action` is None where none was told.
    """

    decision_id: str
    kind: str
    at: float
    seconds: float
    action: str | None = None
    recorded: bool = False


class Till:
    """One till with a connection of its own."""

    def __init__(self, port: int, key: str, *, name: str, seed: int) -> None:
        self.answers: list[Answer] = []
        self.orders: dict[str, str] = {}
        self._name, self._port, self._random = name, port, random.Random(seed)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        self._connection: http.client.HTTPConnection | None = None

    def work(self, stop: threading.Event) -> None:
        """Ask, repeat some questions, and send some orders, until told to stop."""
        number = 0
        untold: list[tuple[str, str]] = []
        while not stop.wait(PAUSE_SECONDS * self._random.random() * 2):
            number += 1
            decision_id = f"{self._name}-{number}"
            customer = f"c-{self._name}-{self._random.randrange(1 + number // 2)}"
            self._decide(decision_id, customer, stop)
            if self._random.random() < 0.2:
                self._decide(decision_id, customer, stop)
            if self._random.random() < 0.3:
                untold += [(f"o-{decision_id}", customer)] * self._random.choice((1, 1, 2))
            # A shop keeps what could not be told, and goes on selling.
            if untold and self._tell(*untold[0]):
                untold.pop(0)
        self.close()

    def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, decision_id: str, customer: str) -> Answer:
        """Ask once."""
        body = {
            "decision_id": decision_id,
            "customer_id": customer,
            "trigger": "purchase",
            "store": "online",
            "order": {"order_id": f"first-{decision_id}", "total": {"amount": "60.00", "currency": "EUR"}},
            "consent": {"email": True, "sms": True, "web_push": True},
        }
        began = time.monotonic()
        status, found = self._post("/v1/decisions", body)
        kind, action, recorded = "broken" if status == 0 else "refused", None, False
        if status == 200:
            action, recorded = found["action"]["action_id"], found["recorded"]
            kind = "control" if found["reasons"][0]["code"] in UNMADE else "made"
        elif status == 503:
            kind = "shed"
        answer = Answer(decision_id, kind, began, time.monotonic() - began, action, recorded)
        self.answers.append(answer)
        return answer

    def _decide(self, decision_id: str, customer: str, stop: threading.Event) -> None:
        began = time.monotonic()
        while self.ask(decision_id, customer).kind in ("broken", "shed"):
            if stop.wait(0.1) or time.monotonic() - began > GIVES_UP_SECONDS:
                return

    def _tell(self, order_id: str, customer: str) -> bool:
        """Send an order and return whether it was acknowledged."""
        event = {
            "event": "Order Completed",
            "message_id": f"m-{order_id}",
            "customer_id": customer,
            "timestamp": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            "properties": {"order_id": order_id, "revenue": "30.00"},
        }
        if self._post("/v1/events", event)[0] != 200:
            return False
        self.orders[order_id] = customer
        return True

    def _post(self, path: str, body: object) -> tuple[int, Any]:
        """Return status and body of an answer; 0 where none came."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        try:
            self._connection.request("POST", path, json.dumps(body), self._headers)
            response = self._connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return 0, None


class Tills:
    """So many tills at once."""

    def __init__(self, port: int, key: str, *, n: int, seed: int) -> None:
        self.tills = [Till(port, key, name=f"{seed}-{one}", seed=seed + one) for one in range(n)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=till.work, args=(self._stop,), daemon=True) for till in self.tills]

    def __enter__(self) -> Tills:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def answers(self) -> list[Answer]:
        """Return all answers so far, those of one till after those of another."""
        return [answer for till in self.tills for answer in list(till.answers)]

    @property
    def orders(self) -> dict[str, str]:
        """Return the customer of each order that was acknowledged."""
        return {order: customer for till in self.tills for order, customer in list(till.orders.items())}
