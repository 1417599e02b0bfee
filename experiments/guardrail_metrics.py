"""Guardrail metrics from the ledger: what customers did after a decision that money doesn't show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from decision.ledger.base import Ledger, Rewarded
from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import Decision, FloatArray, Outcome
from decision.stages.events import ORDER_COMPLETED, ORDER_REFUNDED, UNSUBSCRIBED
from experiments.off_policy import Burden, GuardrailMetric, Worse

NAMES = {"unsubscribes": "unsubscribe rate", "returns": "returns beyond those of as many orders", "margin": "margin"}


def guardrail_metrics(
    decisions: Sequence[Decision], margin: FloatArray, *, programme: Programme, ledger: Ledger
) -> tuple[GuardrailMetric, ...]:
    """Return the metrics that the programme's `[guardrail_metrics]` ask for, one value for each decision.

    `unsubscribes`: whether the customer unsubscribed within the decision's window. `returns`: how many orders of the
    window came back, less as many as so many orders bring on average in the log, so that selling more is no harm.
    `margin`: gross margin less what the offer cost, float[n] in currency units as given. One of which nothing
    was seen has nothing to say, and is left out unless safety must be proven.
    """
    counts = np.array([_counts(decision, programme, ledger) for decision in decisions], dtype=np.float64)
    unsubscribed, ordered, returned = counts.reshape(-1, 3).T
    usual = returned.sum() / max(ordered.sum(), 1.0)
    measured = {
        "unsubscribes": (unsubscribed, Worse.HIGHER),
        "returns": (returned - usual * ordered, Worse.HIGHER),
        "margin": (margin, Worse.LOWER),
    }
    found = []
    for rule in programme.guardrail_metrics:
        outcome, worse = measured[rule.metric]
        burden = Burden(rule.burden)
        if outcome.any() or burden is Burden.SAFETY:
            found.append(GuardrailMetric(NAMES[rule.metric], outcome, worse, margin=rule.tolerance, burden=burden))
    return tuple(found)


def net_margin(rows: Iterable[Rewarded]) -> FloatArray:
    """Return gross margin less what the offer cost, for each rewarded decision, in currency units."""
    return np.array([(row.reward.margin_micros - row.reward.cost_micros) / MICROS for row in rows])


def _counts(decision: Decision, programme: Programme, ledger: Ledger) -> tuple[int, int, int]:
    """Return whether she unsubscribed, how many orders of the window there are, and how many of them came back."""
    end = decision.window_ends_at or programme.window_ends_at(decision.decided_at)
    told = ledger.outcomes_of(decision.customer_id, start=decision.decided_at, end=max(end, decision.matures_at))
    inside = [outcome for outcome in told if outcome.occurred_at <= end]
    orders = _orders(inside, ORDER_COMPLETED) - {decision.order_id}
    returned = _orders(told, ORDER_REFUNDED) & orders
    return int(any(outcome.name == UNSUBSCRIBED for outcome in inside)), len(orders), len(returned)


def _orders(outcomes: Iterable[Outcome], name: str) -> set[str]:
    return {str(outcome.properties["order_id"]) for outcome in outcomes if outcome.name == name}
