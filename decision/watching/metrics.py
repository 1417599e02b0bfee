"""The counters and histograms of a process, added up over all of them when they are asked for.

Labels are bounded: actions come from decisions that were made, routes, reasons, events and faults from the code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from decision.flow.observe import Receipt
from decision.records import CONTROL, Decision, Reason
from decision.watching.places import VARIABLE, Place
from decision.watching.seen import Ranking

M = TypeVar("M", Counter, Histogram)
SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
CHANCES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9, 0.99, 1.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Children(dict[tuple[str, ...], M], Generic[M]):
    """A metric's children by their labels: the library takes ten times as long to find them."""

    def __init__(self, metric: M) -> None:
        super().__init__()
        self._metric: M = metric

    def __missing__(self, labels: tuple[str, ...]) -> M:
        child: M = self._metric.labels(*labels)
        self[labels] = child
        return child


class Metrics:
    """What a process counts: by itself, or in a place among others."""

    def __init__(self, place: Place | None = None) -> None:
        """Count in `place`, which is then the place of everything this process counts; None keeps it to itself."""
        if place is not None:
            os.environ[VARIABLE] = str(place.folder)
            values.ValueClass = values.MultiProcessValue(lambda: place.number)  # type: ignore[no-untyped-call]
        self._place = place
        self._own = own = CollectorRegistry()
        self._seconds = _Children(
            Histogram(
                "encore_http_request_duration_seconds",
                "Time to answer a request",
                ["method", "route", "status"],
                buckets=SECONDS,
                registry=own,
            )
        )
        self._decisions = _Children(
            Counter("encore_decisions", "Decisions made, by first reason", ["action", "reason"], registry=own)
        )
        self._fallbacks = _Children(
            Counter("encore_decision_fallbacks", "Decisions answered control after a fault", ["fault"], registry=own)
        )
        self._removals = _Children(
            Counter(
                "encore_guardrail_removals", "Decisions that guardrails took actions from", ["reason"], registry=own
            )
        )
        self._faults = _Children(Counter("encore_faults", "Faults that were survived", ["fault"], registry=own))
        self._events = _Children(Counter("encore_events", "Events told", ["event", "outcome"], registry=own))
        self._event_repeats = Counter("encore_event_repeats", "Events taken that were known already", registry=own)
        self._repeats = Counter("encore_decision_repeats", "Decisions answered once more to a retry", registry=own)
        self._propensity = Histogram(
            "encore_decision_propensity", "Chance that the chosen action had", buckets=CHANCES, registry=own
        )
        self._rankings = _Children(
            Counter("encore_ranking_calls", "Calls about a caller's own actions", ["call", "outcome"], registry=own)
        )
        self._ranking_propensity = Histogram(
            "encore_ranking_propensity", "Chance that the ranked action had", buckets=CHANCES, registry=own
        )
        self._shed = Counter("encore_http_requests_shed", "Requests turned away for want of capacity", registry=own)
        self._in_flight = Gauge(
            "encore_http_requests_in_flight", "Requests being worked on", multiprocess_mode="sum", registry=own
        )

    def begin(self) -> None:
        """Count a request in."""
        self._in_flight.inc()

    def end(self, method: str, route: str, status: int, *, seconds: float) -> None:
        """Count a request out; a `method` that HTTP does not know is nobody's label."""
        self._in_flight.dec()
        verb = method if method in METHODS else "other"
        self._seconds[verb, route, str(status)].observe(seconds)

    def shed(self) -> None:
        """Count a request that was turned away for want of capacity."""
        self._shed.inc()

    def decided(self, decision: Decision) -> None:
        """Count a decision that was made just now."""
        reason = decision.reasons[0][0] if decision.reasons else ""
        self._decisions[decision.action_id, reason].inc()
        self._propensity.observe(decision.propensity)
        for removed in {rejection.reason for rejection in decision.rejected}:
            self._removals[(removed.value,)].inc()

    def repeated(self) -> None:
        """Count a decision that was answered once more."""
        self._repeats.inc()

    def fell_back(self, fault: Exception) -> None:
        """Count a decision that a fault prevented."""
        self._decisions[CONTROL, Reason.FAULT.value].inc()
        self._fallbacks[(type(fault).__name__,)].inc()

    def survived(self, fault: str) -> None:
        """Count a fault of any kind that was answered or survived."""
        self._faults[(fault,)].inc()

    def observed(self, receipt: Receipt) -> None:
        """Count events by what became of them."""
        for outcome, names in (("taken", receipt.taken), ("rejected", receipt.refused)):
            for name, number in names.items():
                self._events[name, outcome].inc(number)
        if receipt.duplicates:
            self._event_repeats.inc(receipt.duplicates)

    def ranked(self, ranking: Ranking) -> None:
        """Count a call about a caller's own actions."""
        self._rankings[ranking.call, ranking.outcome].inc()
        if ranking.propensity is not None:
            self._ranking_propensity.observe(ranking.propensity)

    def text(self, accept: str, others: Sequence[Collector] = ()) -> tuple[bytes, str]:
        """Return what all processes have counted, with what `others` know, and its type, in a form that is accepted."""
        registry = CollectorRegistry()
        registry.register(self._own if self._place is None else _together(self._place))
        for other in others:
            registry.register(other)
        encode: Callable[[Collector], bytes]
        encode, kind = choose_encoder(accept)
        return encode(registry), kind


def _together(place: Place) -> Collector:
    found: Collector = MultiProcessCollector(None, str(place.folder))  # type: ignore[no-untyped-call]
    return found
