"""What customers did after a decision can veto a promotion, through the same door as `encore evaluate`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decision.errors import InvalidProgramme
from decision.programme.read import parse_programme
from decision.records import Decision, Outcome
from decision.stages.events import ORDER_COMPLETED, ORDER_REFUNDED, UNSUBSCRIBED
from decision.wiring import Home
from experiments import evaluate as evaluation
from experiments.evaluate import Evaluation, evaluate
from experiments.guardrail_metrics import guardrail_metrics
from experiments.off_policy.verdict import Reason
from tests import trials
from tests.training.test_evaluate import trained

DAY = timedelta(days=1)


def told(decision: Decision, name: str, *, days: float, order: str | None = None) -> Outcome:
    facts: dict[str, Any] = {} if order is None else {"order_id": order, "revenue_micros": 1_000_000}
    at = decision.decided_at + days * DAY
    return Outcome(f"{name} {decision.decision_id} {days}", name, decision.customer_id, at, facts)


def shop(folder: Path, *, annoyed: float) -> tuple[Home, Evaluation]:
    """Judge a challenger that treats, where treating pays and makes this share of customers unsubscribe."""
    rows = trials.past(3_000, effect=0.0, harm=-1.0).rows
    home = trials.home(folder, rows)
    rng = np.random.default_rng(1)
    leave = [
        told(row.decision, UNSUBSCRIBED, days=1)
        for row in rows
        if rng.random() < (annoyed if row.decision.action_id != "control" else 0.01)
    ]
    home.ledger().record_outcomes(leave, now=trials.NOW)
    return home, evaluate(home, trained(home.bundles, lift=1.0).version, now=trials.NOW)


@pytest.fixture(autouse=True)
def no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "_log", lambda *_: None)


def test_who_earns_more_and_drives_customers_away_is_vetoed(tmp_path: Path) -> None:
    _, found = shop(tmp_path / "home", annoyed=0.15)
    assert found.verdict.contrast.lower_bound > 0
    assert found.verdict.reasons == (Reason.GUARDRAIL_METRIC,)
    assert any(s.startswith("Guardrail veto: unsubscribe rate changes by +") for s in found.verdict.sentences())


def test_who_earns_more_and_drives_nobody_away_is_promoted(tmp_path: Path) -> None:
    _, found = shop(tmp_path / "home", annoyed=0.01)
    assert found.verdict.promote
    assert any(s.startswith("Guardrail passed: unsubscribe rate") for s in found.verdict.sentences())


def test_what_was_never_seen_says_nothing(tmp_path: Path) -> None:
    """A past trial has no events: it neither passes nor vetoes."""
    home = trials.home(tmp_path / "home", trials.past(3_000, effect=0.0, harm=-1.0).rows)
    assert evaluate(home, trained(home.bundles, lift=1.0).version, now=trials.NOW).verdict.guardrails == ()


def test_metrics_equal_a_count_by_hand(tmp_path: Path) -> None:
    """Unsubscribing counts inside the window; a return counts for an order of the window, whenever it comes."""
    rows = trials.past(3, effect=0.0, harm=0.0).rows
    first, second, third = (row.decision for row in rows)
    home = trials.home(tmp_path / "home", rows)
    events = [
        told(first, UNSUBSCRIBED, days=9),
        told(second, UNSUBSCRIBED, days=11),
        told(first, ORDER_COMPLETED, days=1, order="a"),
        told(first, ORDER_COMPLETED, days=2, order="b"),
        told(first, ORDER_REFUNDED, days=12, order="a"),
        told(second, ORDER_COMPLETED, days=3, order="c"),
        told(third, ORDER_REFUNDED, days=1, order="bought before"),
    ]
    home.ledger().record_outcomes(events, now=trials.NOW)
    programme = parse_programme(trials.PROGRAMME + '[guardrail_metrics.margin]\ntolerance = 0.5\nburden = "safety"\n')
    metrics = guardrail_metrics((first, second, third), np.ones(3), programme=programme, ledger=home.ledger())
    unsubscribes, returns, margin = metrics
    assert unsubscribes.outcome.tolist() == [1, 0, 0]
    assert returns.outcome == pytest.approx([1 - 2 / 3, -1 / 3, 0])
    assert (margin.outcome.tolist(), margin.margin) == ([1, 1, 1], 0.5)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("[guardrail_metrics.unsubscribe]\n", "did you mean 'unsubscribes'"),
        ('[guardrail_metrics.returns]\nburden = "never"\n', "one of harm, safety, off"),
        ('[guardrail_metrics.returns]\nburden = "safety"\n', "a tolerance above 0"),
        ("[guardrail_metrics.returns]\ntolerance = -1\n", "a number from 0"),
    ],
)
def test_mistakes_are_told_with_their_place(table: str, sentence: str) -> None:
    with pytest.raises(InvalidProgramme, match=sentence) as caught:
        parse_programme(trials.PROGRAMME + table)
    assert "guardrail_metrics" in str(caught.value)


def test_a_metric_can_be_switched_off() -> None:
    text = trials.PROGRAMME + '[guardrail_metrics.returns]\nburden = "off"\n'
    assert [rule.metric for rule in parse_programme(text).guardrail_metrics] == ["unsubscribes"]
