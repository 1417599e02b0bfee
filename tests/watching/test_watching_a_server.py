"""The real server with two processes: what it counts and what it writes down."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from decision.ledger.ranks import SqliteRanks
from decision.stages.keys import Role
from decision.watching.places import folder_of
from decision.wiring import Home, Shop
from tests import support
from tests.api.test_real_server import SECONDS, Server, promoted, question, serving
from tests.compat.deliveries import SECRETS as SECRETS_OF_SHOPS
from tests.compat.deliveries import gmt, woo_order, woocommerce
from tests.support import NOW, PROGRAMME

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
BUDGET = """
[budgets.spring]
period = "month"
amount = "1000.00"
count = 500
"""


def asked(server: Server, path: str, body: object = None, **headers: str) -> tuple[int, str, Mapping[str, str]]:
    """Return status, text and headers of an answer on a connection of its own, so that any process may give it."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)) as connection:
        sent = server.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(
            "GET" if body is None else "POST", path, None if body is None else json.dumps(body).encode(), sent
        )
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())


def scraped(server: Server) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    status, text, _ = asked(server, "/metrics")
    assert status == 200, text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def total(figures: Mapping[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return sum(v for (found, of), v in figures.items() if found == name and of >= set(labels.items()))


def workers(server: Server) -> list[int]:
    """Return the processes that answer requests: those that hold a place."""
    held = []
    for pid in server.family():
        with suppress(OSError):
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            held += [pid] if any("encore-" in link and link.endswith(".lock") for link in links) else []
    return held


def text_of(server: Server) -> str:
    """Return what the server wrote; `Server.text` moves the place at which a living one writes on."""
    return Path(server.log.name).read_text()


def lines(server: Server) -> list[dict[str, Any]]:
    """Return what the server wrote on standard error; on standard output it says one sentence."""
    written = text_of(server).splitlines()
    said = [line for line in written if line.startswith("Serving ")]
    assert len(said) == 1
    return [json.loads(line) for line in written if line not in said]


def soon(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_process_gives_the_sum_of_all(home: Home) -> None:
    home.programme_path.write_text(PROGRAMME + BUDGET)
    with closing(home.ledger()) as ledger:
        promoted(home, ledger, seed=1)
    with serving(home) as server, ThreadPoolExecutor(8) as pool:
        soon(lambda: len(workers(server)) == 2)
        answers = [
            json.loads(text)
            for _, text, _ in pool.map(lambda n: asked(server, "/v1/decisions", question(n)), range(120))
        ]
        assert asked(server, "/v1/decisions", question(0) | {"decision_id": answers[0]["decision_id"]})[0] == 422
        event = {
            "event": "Order Completed",
            "message_id": "m-1",
            "customer_id": "c-1",
            "timestamp": "2026-03-04T10:00:00Z",
        }
        whole = event | {"properties": {"order_id": "o-1", "revenue": "5.00", "currency": "EUR"}}
        batch = {"batch": [whole, whole, event | {"event": "Nonsense"}, event]}
        assert asked(server, "/v1/events", batch)[0] == 200
        figures = scraped(server)
        assert all(total(scraped(server), "encore_decisions_total") == len(answers) == 120 for _ in range(20)), (
            "whichever process answers"
        )
        for action, reason in {(a["action"]["action_id"], a["reasons"][0]["code"]) for a in answers}:
            expected = sum((a["action"]["action_id"], a["reasons"][0]["code"]) == (action, reason) for a in answers)
            assert total(figures, "encore_decisions_total", action=action, reason=reason) == expected
        assert total(figures, "encore_decision_propensity_count") == 120
        assert total(figures, "encore_decision_propensity_sum") == pytest.approx(sum(a["propensity"] for a in answers))
        removed = Counter(r for a in answers for r in {one["code"] for one in a["rejected"]})
        for reason, number in removed.items():
            assert total(figures, "encore_guardrail_removals_total", reason=reason) == number
        route = {"method": "POST", "route": "/v1/decisions"}
        assert total(figures, "encore_http_request_duration_seconds_count", **route, status="200") == 120
        assert total(figures, "encore_http_request_duration_seconds_count", **route, status="422") == 1
        assert total(figures, "encore_http_requests_in_flight") == 1, "the scrape itself"
        assert total(figures, "encore_events_total", event="Order Completed", outcome="taken") == 2
        assert total(figures, "encore_events_total", event="Order Completed", outcome="rejected") == 1
        assert total(figures, "encore_events_total", event="unknown", outcome="rejected") == 1
        assert total(figures, "encore_event_repeats_total") == 1
        with closing(home.ledger()) as ledger:
            keys = home.programme().budget_keys(NOW.now(NOW.tzinfo))
            used = ledger.used(keys.values())[keys["spring"]]
        spring = {"budget": "spring", "period": "month"}
        assert total(figures, "encore_budget_left_amount", **spring) == pytest.approx(1000 - used.amount_micros / 1e6)
        assert total(figures, "encore_budget_left_uses", **spring) == 500 - used.count
        assert used.count > 0
        assert total(figures, "encore_ledger_decisions_total") == 120
        assert total(figures, "encore_ledger_events_total") == 1
        assert total(figures, "encore_learner_oldest_event_age_seconds") > 0, "nobody learns here"
        assert total(figures, "encore_policy_info") == total(figures, "encore_ledger_up") == 1
        accepted = asked(server, "/metrics", Accept=OPEN_METRICS)
        assert accepted[2]["content-type"].startswith("application/openmetrics-text")
        assert {family.name for family in parse_open_metrics(accepted[1])} >= {"encore_decisions", "encore_policy_info"}


def test_webhooks_and_rankings_are_counted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCORE_WOOCOMMERCE_SECRET", SECRETS_OF_SHOPS["woocommerce"])
    now = datetime.now(UTC)
    with serving(home) as server:

        def deliver(topic: str, order: Any) -> None:
            sent = woocommerce(topic, order)
            url = f"http://127.0.0.1:{server.port}/v1/webhooks/woocommerce"
            headers = {**sent["headers"], "Content-Type": sent["content_type"]}
            with urlopen(Request(url, sent["data"], headers), timeout=SECONDS) as response:
                assert response.status == 200

        paid = woo_order(date_created_gmt=gmt(now), date_modified_gmt=gmt(now), coupon_lines=[])
        for _ in range(2):
            deliver("order.updated", paid)
        deliver("order.updated", paid | {"id": 2, "currency": "USD"})
        deliver("order.updated", {"id": 3})
        deliver("order.deleted", {"id": paid["id"]})
        rank = {"eventId": "e-1", "actions": [{"id": "tea", "features": []}, {"id": "coffee", "features": []}]}
        chances = []
        for _ in range(3):
            status, text, _ = asked(server, "/personalizer/v1.0/rank", rank)
            assert status == 201
            chances.append({one["id"]: one["probability"] for one in json.loads(text)["ranking"]})
        chosen = json.loads(text)["rewardActionId"]
        for event in ("e-1", "nobody"):
            assert asked(server, f"/personalizer/v1.0/events/{event}/reward", {"value": 1.0})[0] == 204
        figures = scraped(server)
    assert total(figures, "encore_events_total", event="Order Completed", outcome="taken") == 2
    assert total(figures, "encore_events_total", event="Order Completed", outcome="rejected") == 1
    assert total(figures, "encore_events_total", event="unknown", outcome="rejected") == 1
    assert total(figures, "encore_events_total", event="Order Cancelled", outcome="taken") == 1
    assert total(figures, "encore_event_repeats_total") == 1
    calls = {
        (dict(labels)["call"], dict(labels)["outcome"]): value
        for (name, labels), value in figures.items()
        if name == "encore_ranking_calls_total"
    }
    assert calls == {("rank", "made"): 1, ("rank", "repeated"): 2, ("reward", "taken"): 1, ("reward", "unknown"): 1}
    assert total(figures, "encore_ranking_propensity_sum") == pytest.approx(chances[0][chosen])
    assert total(figures, "encore_ranking_propensity_count") == 1


def test_a_ranking_that_a_fault_prevented_is_counted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(home)
    client = support.client_of(shop)
    monkeypatch.setattr(SqliteRanks, "event", lambda *_: 1 / 0)
    body = {"eventId": "e-1", "actions": [{"id": "tea", "features": []}]}
    assert client.post("/personalizer/v1.0/rank", json=body).status_code == 201
    assert 'encore_ranking_calls_total{call="rank",outcome="fallback"} 1.0' in client.get("/metrics").text
    shop.close()


def test_what_a_killed_process_counted_stays_counted(home: Home) -> None:
    with serving(home) as server, ThreadPoolExecutor(8) as pool:
        acknowledged: list[str] = []
        tried = 0

        def ask(n: int) -> None:
            with suppress(OSError, HTTPException, ValueError):
                acknowledged.append(json.loads(asked(server, "/v1/decisions", question(n))[1])["decision_id"])

        soon(lambda: len(workers(server)) == 2)
        for killing, worker in enumerate(workers(server)):
            soon(lambda: len(workers(server)) == 2)
            before = len(acknowledged)
            asking = [pool.submit(ask, n) for n in range(1000 * killing, 1000 * killing + 200)]
            tried += len(asking)
            soon(lambda before=before: len(acknowledged) >= before + 60)
            os.kill(worker, signal.SIGKILL)
            for one in asking:
                one.result(timeout=SECONDS)
        soon(lambda: len(workers(server)) == 2)
        for n in range(20):
            ask(9_000 + n)
        figures = scraped(server)
        with closing(home.ledger()) as ledger:
            written = ledger.counts()["decisions"]
        # Between the commit and the count a kill may come; an answer that left was counted.
        assert len(acknowledged) <= total(figures, "encore_decisions_total") <= written <= tried + 20
        assert total(figures, "encore_ledger_decisions_total") == written
        assert total(figures, "encore_http_requests_in_flight") == 1
        assert len(acknowledged) >= 2 * 60
        folder = folder_of(home.root)
        assert len(list(folder.glob("*.db"))) == 6, "three files for each of two places, however many were killed"


def test_a_server_starts_counting_anew_and_two_at_once_count_together(home: Home) -> None:
    with serving(home) as first:
        asked(first, "/v1/decisions", question(1))
        with serving(home) as second:
            asked(second, "/v1/decisions", question(2))
            assert total(scraped(first), "encore_decisions_total") == 2
            assert total(scraped(second), "encore_decisions_total") == 2
    with serving(home) as third:
        figures = scraped(third)
        assert total(figures, "encore_decisions_total") == 0
        assert total(figures, "encore_ledger_decisions_total") == 2


SECRETS = ("c-secret-customer", "anna@example.com", "o-secret-order")


def test_nobody_is_named_in_the_log_or_the_metrics(home: Home) -> None:
    """Each request is one line that can be parsed, whatever was sent."""
    customer, email, order = SECRETS
    body = question() | {"customer_id": customer, "order": {**question()["order"], "order_id": order}}
    event = {"event": "Order Completed", "customer_id": email, "timestamp": "2026-03-04T10:00:00Z"}
    with serving(home) as server:
        stranger = "encore_abcdefgh_" + "s" * 43
        calls: list[tuple[str, object, dict[str, str]]] = [
            ("/v1/decisions", body, {"X_Request_Id": "till-7.1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}),
            ("/v1/decisions", body | {"customer_id": [email]}, {"X_Request_Id": f"{email}\tx"}),
            ("/v1/decisions", body | {"trigger": email}, {"X_Request_Id": "x" * 65, "traceparent": email}),
            ("/v1/events", event, {}),
            ("/v1/events", {"batch": [event, email, event | {"event": email}]}, {}),
            ("/v1/identify", {"userId": email, "traits": {"consent": {"email": True}, "email": email}}, {}),
            ("/v1/track", {"userId": email, "event": email}, {}),
            (f"/v1/decisions/{email}?customer={customer}", None, {}),
            (f"/v1/{email}?{customer}", None, {}),
            ("/v1/policy", None, {"Authorization": f"Bearer {stranger}"}),
            ("/metrics", None, {}),
        ]
        soon(lambda: [line["event"] for line in lines(server)].count("ready") == 2)
        waited = len(lines_of_requests(server))
        answers = [asked(server, path, sent, **headers) for path, sent, headers in calls]
        metrics = asked(server, "/metrics")[1]
        soon(lambda: len(lines_of_requests(server)) == waited + len(calls) + 1)
        found = lines_of_requests(server)[waited:]
        for (status, _, headers), line in zip(answers, found, strict=False):
            assert (line["status"], line["request_id"]) == (status, headers["x-request-id"])
            assert line["ms"] >= 0
        assert found[0]["request_id"] == "till-7.1"
        assert found[0]["trace_id"] == "a" * 32
        assert found[0]["decision_id"] == json.loads(answers[0][1])["decision_id"]
        assert found[0]["action"] == json.loads(answers[0][1])["action"]["action_id"]
        assert "trace_id" not in found[2]
        assert [line["route"] for line in found[-5:-2]] == ["/v1/decisions/<decision_id>", "none", "/v1/policy"]
        for secret in (*SECRETS, server.key[16:], stranger[16:]):
            assert secret not in text_of(server)
            assert secret not in metrics
        assert [line["event"] for line in lines(server)].count("serving") == 1


def lines_of_requests(server: Server) -> list[dict[str, Any]]:
    return [line for line in lines(server) if line["event"] == "request"]


def test_a_fault_is_told_with_its_place_and_without_its_text(home: Home) -> None:
    """The ledger loses a table under a running server: every till is answered, and the log says where it broke."""
    with serving(home) as server:
        with closing(home.ledger()) as ledger:
            ledger._db.execute("DROP TABLE unfinished")
        for n in range(8):
            answer = json.loads(asked(server, "/v1/decisions", question(n) | {"customer_id": SECRETS[1]})[1])
            assert (answer["recorded"], answer["reasons"][0]["code"]) == (False, "fault")
        figures = scraped(server)
        assert total(figures, "encore_decisions_total", action="control", reason="fault") == 8
        assert total(figures, "encore_decision_fallbacks_total", fault="LedgerError") == 8
        assert total(figures, "encore_faults_total", fault="LedgerError") == 8
        soon(lambda: len(lines_of_requests(server)) >= 9)
        told = [line for line in lines(server) if line["level"] == "error"]
        assert 1 <= len(told) <= 2, "once for each process"
        assert told[0]["fault"] == "LedgerError"
        assert "ledger/writing.py" in told[0]["place"]
        assert told[0]["request_id"]
        assert SECRETS[1] not in text_of(server)


def test_an_operators_key_opens_the_metrics_and_nothing_else(home: Home) -> None:
    with closing(home.ledger()) as ledger:
        key = support.key_in(ledger, Role.OPERATOR)
    with serving(home) as server:
        asked(server, "/v1/decisions", question() | {"decision_id": "d-1"})
        mine = {"Authorization": f"Bearer {key}"}
        assert asked(server, "/metrics", **mine)[0] == 200
        for path in ("/v1/decisions/d-1", "/v1/policy"):
            assert asked(server, path, **mine)[0] == 403
        assert asked(server, "/metrics", Authorization="")[0] == 401


def test_a_server_that_stops_gives_its_memory_back(home: Home) -> None:
    with serving(home) as server:
        assert list(folder_of(home.root).glob("*.db"))
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(timeout=SECONDS) == 0, text_of(server)
        assert not list(folder_of(home.root).glob("*.db"))


def test_where_metrics_have_no_place_the_till_is_answered(home: Home) -> None:
    folder = folder_of(home.root)
    folder.mkdir()
    for number in range(2):
        # A place whose file can't be replaced, as on a disk that is full.
        (folder / f"gauge_sum_{number}.new").mkdir()
    with serving(home) as server:
        assert json.loads(asked(server, "/v1/decisions", question())[1])["recorded"]
        assert asked(server, "/metrics")[0] == 200
        assert "this process counts by itself" in text_of(server)
