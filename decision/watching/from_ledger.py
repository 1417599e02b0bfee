"""Metrics that are read from the ledger when they are asked for: every process gives the same answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from decision import __version__
from decision.errors import EncoreError
from decision.flow.learn import BUCKET
from decision.flow.sweep import CURSOR
from decision.ledger.base import Ledger
from decision.money import MICROS
from decision.programme.model import Programme
from decision.serving import NO_BUNDLE
from decision.stages.guardrails import Used
from decision.wiring import LEARNERS_ROUND

_BUDGET = ("budget", "offer", "store", "period")


class FromLedger(Collector):
    """What the ledger says of itself, the learner, the policy and budgets."""

    def __init__(self, ledger: Ledger, programme: Programme, now: Callable[[], datetime]) -> None:
        self._ledger, self._programme, self._now = ledger, programme, now

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics; those of a ledger that can't be read are left out, and `encore_ledger_up` is 0."""
        found: list[Metric] = []
        try:
            found = [*self._state(), *self._budgets()]
            up = 1
        except EncoreError:
            up = 0
        yield _gauge("encore_ledger_up", "Whether the ledger can be read", up)
        yield _labelled("encore_build_info", "The version that answers", ("version",), [((__version__,), 1)])
        yield from found

    def _state(self) -> Iterator[Metric]:
        ledger, now = self._ledger, self._now()
        promotions = ledger.promotions()
        version = promotions[-1].bundle_version if promotions else NO_BUNDLE
        pulse = ledger.pulse(cursor=CURSOR, bundle_version=version)
        yield _labelled("encore_policy_info", "The policy that serves", ("version",), [((version,), 1)])
        if promotions:
            at = promotions[-1].at.timestamp()
            yield _gauge("encore_policy_since_timestamp_seconds", "When it was promoted or rolled back to", at)
        yield CounterMetricFamily("encore_ledger_decisions", "Decisions ever written", pulse.decisions)
        yield CounterMetricFamily("encore_ledger_events", "Events ever written", pulse.outcomes)
        yield _gauge("encore_ledger_bytes", "Size of the ledger's files", pulse.size_bytes)
        waiting = 0.0 if pulse.waiting_since is None else _age(pulse.waiting_since, now)
        yield _gauge("encore_learner_oldest_event_age_seconds", "Age of the oldest event not learned from", waiting)
        if ended := ledger.cursor(LEARNERS_ROUND):
            yield _gauge("encore_learner_last_round_timestamp_seconds", "When the learner's last round ended", ended)
        if pulse.learned_through is not None:
            # A bucket is learned once the last of its decisions is mature: only what is late since then is a lag.
            due = self._programme.matures_at(pulse.learned_through + BUCKET)
            yield _gauge("encore_learner_lag_seconds", "How late the bandit learns what is final", _age(due, now))

    def _budgets(self) -> Iterator[Metric]:
        keys = self._programme.budget_keys(self._now())
        used = self._ledger.used(keys.values())
        left: dict[str, list[tuple[tuple[str, ...], float]]] = {"amount": [], "uses": []}
        limits: dict[str, list[tuple[tuple[str, ...], float]]] = {"amount": [], "uses": []}
        for budget in self._programme.budgets:
            labels = (budget.name, budget.offer or "", budget.store or "", budget.period)
            taken = used.get(keys[budget.name], Used())
            if budget.amount_micros is not None:
                left["amount"].append((labels, (budget.amount_micros - taken.amount_micros) / MICROS))
                limits["amount"].append((labels, budget.amount_micros / MICROS))
            if budget.count is not None:
                left["uses"].append((labels, budget.count - taken.count))
                limits["uses"].append((labels, budget.count))
        for unit, meaning in (("amount", "money, in the programme's currency"), ("uses", "uses")):
            yield _labelled(f"encore_budget_left_{unit}", f"What is left of a budget's {meaning}", _BUDGET, left[unit])
            yield _labelled(f"encore_budget_limit_{unit}", f"A budget's limit on {meaning}", _BUDGET, limits[unit])


def _age(since: datetime, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value)


def _labelled(name: str, meaning: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Any]]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family
