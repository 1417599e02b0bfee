"""The alerts and the dashboard in Prometheus's own grammar, against what a real server is scraped for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from decision.ledger.base import PosteriorRecord
from decision.wiring import LEARNERS_ROUND, Home
from tests import support
from tests.api.test_real_server import promoted, question, serving
from tests.support import DAY, NOW, PROGRAMME
from tests.watching.test_watching_a_server import BUDGET, asked

WATCHING = Path(__file__).parents[2] / "docs" / "watching"
RULES = [rule for group in yaml.safe_load((WATCHING / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
PANELS = json.loads((WATCHING / "dashboard.json").read_text())["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [t["expr"] for panel in PANELS for t in panel["targets"]]
# What Prometheus takes in a rule and in a scrape; whatever else stands there it refuses.
OF_A_RULE = {"alert", "expr", "for", "labels", "annotations"}
OF_A_SCRAPE = {"job_name", "authorization", "static_configs"}

Scrape = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    """Return the values of every label, by the name of the sample, of a server to which everything has happened."""
    home = Home(tmp_path_factory.mktemp("scraped"))
    home.programme_path.write_text(PROGRAMME + BUDGET)
    with closing(home.ledger()) as ledger:
        version = promoted(home, ledger, seed=1).partition("+")[0]
        ledger.record_posterior(PosteriorRecord(version, 0, NOW - 90 * DAY, 3, b"x"))
        ledger.move_cursor(LEARNERS_ROUND, int(NOW.timestamp()))
    with serving(home) as server:
        answers = [json.loads(asked(server, "/v1/decisions", question(n) | {"consent": {}})[1]) for n in range(60)]
        assert any(answer["action"]["action_id"] == "control" for answer in answers)
        assert any(answer["rejected"] for answer in answers)
        event = {"event": "Order Completed", "customer_id": "c-1", "timestamp": "2026-03-04T10:00:00Z"}
        whole = event | {"properties": {"order_id": "o-1", "revenue": "5.00", "currency": "EUR"}}
        asked(server, "/v1/events", {"batch": [whole, event]})
        with closing(home.ledger()) as ledger:
            ledger._db.execute("DROP TABLE unfinished")
        assert json.loads(asked(server, "/v1/decisions", question(9_999))[1])["reasons"][0]["code"] == "fault"
        text = asked(server, "/metrics")[1]
    found: Scrape = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def parts(expression: Any) -> Iterator[Any]:
    """Yield a parsed expression and all that it is made of."""
    found: list[Any] = []
    promql_parser.walk(expression, found.append)
    yield from found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_valid_and_asks_for_what_is_served(expression: str, scrape: Scrape) -> None:
    parsed = list(parts(promql_parser.parse(expression)))
    selectors = [part for part in parsed if isinstance(part, promql_parser.VectorSelector)]
    assert selectors
    for selector in selectors:
        assert selector.name in scrape
        for matcher in selector.matchers.matchers:
            values = scrape[selector.name][matcher.name]
            assert matcher.op != promql_parser.MatchOp.Equal or matcher.value in values
    known = set().union(*(scrape[selector.name] for selector in selectors))
    for part in parsed:
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
            assert set(part.modifier.labels) <= known


def test_the_grammar_refuses_what_prometheus_refuses() -> None:
    for wrong in ("sum(rate(encore_decisions_total[5m])", "rate(encore_decisions_total)", "sum by le (x)", "x > > 1"):
        with pytest.raises(ValueError):
            promql_parser.parse(wrong)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_one_that_prometheus_loads(rule: dict[str, Any], scrape: Scrape) -> None:
    assert {"alert", "expr", "annotations"} <= set(rule) <= OF_A_RULE
    assert re.fullmatch(r"[a-zA-Z_]\w*", rule["alert"])
    assert promql_parser.parse_duration(rule.get("for", "1m")) is not None
    kept = {
        label
        for part in parts(promql_parser.parse(rule["expr"]))
        if isinstance(part, promql_parser.VectorSelector)
        for label in scrape[part.name]
    }
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= kept
        assert re.findall(r"{{.*?}}", text) == re.findall(r"{{ \$labels\.\w+ }}", text)


def test_no_two_alerts_have_one_name() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_the_scrape_of_the_page_reads_a_real_server(home: Home) -> None:
    page = (WATCHING.parent / "watching.md").read_text()
    (code,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (config,) = yaml.safe_load(code)["scrape_configs"]
    assert set(config) == OF_A_SCRAPE
    ((target,),) = [one["targets"] for one in config["static_configs"]]
    assert re.fullmatch(r"[\w.]+:\d+", target)
    role = re.findall(r"keys create prometheus --role (\w+) >", page)
    assert set(config["authorization"]) == {"credentials_file"}
    with closing(home.ledger()) as ledger:
        key = support.key_in(ledger, support.Role(role[0]))
    with serving(home) as server:
        status, text, headers = asked(server, "/metrics", Authorization=f"Bearer {key}")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert "encore_ledger_up 1.0" in text
