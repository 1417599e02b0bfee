"""What the documentation names exists: metrics, labels, reasons, and the files it points to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from decision.flow.observe import Receipt
from decision.ledger.base import PosteriorRecord, Promotion
from decision.ledger.sqlite import SqliteLedger
from decision.records import Reason, Rejection
from decision.watching.from_ledger import FromLedger
from decision.watching.metrics import Metrics
from decision.watching.seen import Ranking
from decision.wiring import LEARNERS_ROUND
from tests.support import DAY, NOW, bought, decided, programme

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "watching.md").read_text()
ALERTS = yaml.safe_load((DOCS / "watching" / "alerts.yml").read_text())
DASHBOARD = json.loads((DOCS / "watching" / "dashboard.json").read_text())
NAME = re.compile(r"\bencore_[a-z_]+\b")
BUDGETS = '[budgets.spring]\namount = "10.00"\ncount = 5\nperiod = "month"\n'


def everything(ledger: SqliteLedger) -> dict[str, set[str]]:
    """Return the labels of every sample that a server can give, by its name."""
    metrics = Metrics()
    metrics.begin()
    metrics.end("POST", "/v1/decisions", 200, seconds=0.004)
    refused = (Rejection("thanks@email", Reason.NO_CONSENT, ""),)
    metrics.decided(decided(reasons=(("holdout", ""),), rejected=refused))
    metrics.fell_back(ValueError())
    metrics.survived("ValueError")
    metrics.observed(Receipt(1, 1, (), {"Order Completed": 2}, {"unknown": 1}))
    metrics.ranked(Ranking("rank", "made", 0.5))
    ledger.record_outcomes([bought(NOW - DAY)], now=NOW - DAY)
    ledger.record_promotion(Promotion("v1", "promote", "better", (), NOW))
    ledger.record_posterior(PosteriorRecord("v1", 0, NOW - 90 * DAY, 3, b"x"))
    ledger.move_cursor(LEARNERS_ROUND, int(NOW.timestamp()))
    text, _ = metrics.text("", [FromLedger(ledger, programme(add=BUDGETS), lambda: NOW)])
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture
def known(ledger: SqliteLedger) -> dict[str, set[str]]:
    return everything(ledger)


def expressions() -> Iterator[str]:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            yield rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def series(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the series of an expression with the labels that it selects."""
    for name, selected in re.findall(r"\b(encore_[a-z_]+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!=|=)", selected))


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_expression_asks_for_what_exists(expression: str, known: dict[str, set[str]]) -> None:
    asked = list(series(expression))
    assert asked
    for name, labels in asked:
        assert name in known
        assert labels <= known[name]
    for together in re.findall(r"by \(([^)]*)\)", expression):
        assert set(re.findall(r"\w+", together)) <= set().union(*(known[name] for name, _ in asked))
    assert expression.count("(") == expression.count(")")


def test_the_page_lists_every_metric_and_no_other(known: dict[str, set[str]]) -> None:
    histograms = {name.removesuffix("_bucket") for name in known if name.endswith("_bucket")}
    parts = {f"{name}{part}" for name in histograms for part in ("_bucket", "_count", "_sum")}
    created = {name for name in known if name.endswith("_created")}
    assert set(NAME.findall(PAGE)) == {*known, *histograms} - parts - created


def test_the_page_points_to_what_is_there() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(targets) == 3
    for target in targets:
        assert (DOCS / target).is_file()
    (scrape,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config: Any = yaml.safe_load(scrape)["scrape_configs"]
    assert config[0]["authorization"]["credentials_file"] in PAGE.partition("```yaml")[0]


def test_figures_from_the_ledger_by_hand(ledger: SqliteLedger) -> None:
    everything(ledger)
    text, _ = Metrics().text("", [FromLedger(ledger, programme(add=BUDGETS), lambda: NOW)])
    figures = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
    assert float(figures["encore_learner_oldest_event_age_seconds"]) == 86_400
    assert float(figures["encore_learner_last_round_timestamp_seconds"]) == NOW.timestamp()
    # Learned through 90 days ago; a decision of the day after was final 28 + 14 days after that day.
    assert float(figures["encore_learner_lag_seconds"]) == pytest.approx((90 - 1 - 28 - 14) * 86_400, abs=7_200)
    assert float(figures['encore_policy_info{version="v1"}']) == 1
    assert float(figures["encore_ledger_bytes"]) > 10_000


def test_a_ledger_that_cannot_be_read_leaves_the_counters(ledger: SqliteLedger) -> None:
    metrics = Metrics()
    metrics.survived("LedgerError")
    ledger._db.execute("DROP TABLE outcomes")
    text, _ = metrics.text("", [FromLedger(ledger, programme(), lambda: NOW)])
    assert "encore_ledger_up 0.0" in text.decode()
    assert 'encore_faults_total{fault="LedgerError"} 1.0' in text.decode()
