"""`POST /v1/decisions` with recommendations, as the checkout sees it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from decision.api.decisions import fingerprint_of
from decision.api.schemas import DecisionQuestion
from decision.bundle.shelf import FOLDER, OUT_OF_STOCK, PROBLEMS, Shelf, fresh_shelf
from decision.errors import LedgerError
from decision.flow.backup import backup, restore
from decision.stages.withdrawal import withdrawn
from decision.wiring import Home, Shop, utc_now
from experiments.exporting.sources import _decision_record
from tests.recommend.shelves import written
from tests.support import DAY, bought, client_of, refunded


@pytest.fixture
def shop(home: Home) -> Iterator[Shop]:
    shop = Shop(home)
    yield shop
    shop.close()


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    return client_of(shop)


@pytest.fixture
def trained(shop: Shop) -> Shop:
    store = shop.home.recommendations
    store.use(written(store).manifest.version)
    shop.refresh()
    return shop


def ask(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    order = {"order_id": "o-1", "total": {"amount": "9.90", "currency": "EUR"}, "products": ["COFFEE"]}
    question = {"decision_id": "d-1", "customer_id": "c-1", "trigger": "purchase", "order": order}
    question["order"] = order | changes.pop("order", {})
    response = client.post("/v1/decisions", json=question | changes)
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def products(answer: dict[str, Any]) -> list[str]:
    return [one["product"] for one in answer["recommendations"]["products"]]


ORDER = {"order_id": "o", "total": {"amount": "1", "currency": "EUR"}}
# What the question below hashed to before there were recommendations: retries across an upgrade must not mismatch.
HASHED_BEFORE = "2af697a0ca7f7e027522f353a2201cf08fc8f43bd01a3327632303e95a4f4109"


def test_who_asks_for_none_gets_the_answer_of_before(trained: Shop, client: FlaskClient) -> None:
    assert "recommendations" not in ask(client)
    bare = msgspec.convert({"customer_id": "c", "trigger": "purchase", "order": ORDER}, DecisionQuestion)
    assert fingerprint_of(bare) == HASHED_BEFORE


def test_products_come_with_the_offer(trained: Shop, client: FlaskClient) -> None:
    found = ask(client, recommendations=2)["recommendations"]
    assert found == {
        "products": [
            {"product": "GRINDER", "score": 0.5, "code": "bought_together", "because": "COFFEE"},
            {"product": "FILTER", "score": 0.3, "code": "bought_together", "because": "COFFEE"},
        ],
        "version": trained.home.recommendations.current,
        "code": "ok",
        "detail": "",
        "withheld": {},
    }


def test_nothing_trained_is_an_empty_list_with_a_reason(client: FlaskClient, shop: Shop) -> None:
    answer = ask(client, recommendations=5)
    assert answer["recorded"] is True
    assert answer["recommendations"]["products"] == []
    assert answer["recommendations"]["code"] == "not_trained"
    assert shop.faults == {}


def test_a_retry_gets_the_same_and_the_record_keeps_it(trained: Shop, client: FlaskClient) -> None:
    first = ask(client, recommendations=3)
    (trained.home.root / FOLDER / OUT_OF_STOCK).write_text("product\nGRINDER\n")
    trained.refresh()
    assert ask(client, recommendations=3) == first
    assert client.get("/v1/decisions/d-1").get_json()["recommendations"] == first["recommendations"]
    assert products(ask(client, decision_id="d-2", recommendations=3)) == ["FILTER", "MUG", "SHOES"]


def test_another_number_under_the_same_id_is_another_question(trained: Shop, client: FlaskClient) -> None:
    ask(client, recommendations=3)
    body = {"decision_id": "d-1", "customer_id": "c-1", "trigger": "purchase", "order": ORDER, "recommendations": 4}
    assert client.post("/v1/decisions", json=body).status_code == 422


@pytest.mark.parametrize("wrong", [-1, 21, "5", 2.5, None])
def test_a_wrong_number_is_the_callers_mistake(client: FlaskClient, wrong: object) -> None:
    body = {"customer_id": "c-1", "trigger": "purchase", "order": ORDER, "recommendations": wrong}
    response = client.post("/v1/decisions", json=body)
    assert response.status_code in (400, 422)
    assert "recommendations" in response.text


def test_what_she_bought_and_sent_back_is_read_from_her_orders(trained: Shop, client: FlaskClient) -> None:
    now = utc_now()
    trained.ledger.record_outcomes(
        [
            bought(now - 9 * DAY, "o-0", products=[{"product_id": "GRINDER"}, {"product_id": "FILTER"}]),
            refunded(now - 5 * DAY, "o-0", products=[{"product_id": "FILTER"}], revenue=2.0),
        ],
        now=now,
    )
    found = ask(client, recommendations=3)
    assert "GRINDER" not in products(found)
    assert "FILTER" not in products(found)
    assert found["recommendations"]["withheld"] == {"durable": 1, "returned": 1}


def test_after_a_return_comes_what_fits_better(trained: Shop, client: FlaskClient) -> None:
    order = {"products": ["SHIRT-M"], "return_reason": "size"}
    found = ask(client, trigger="return", order=order, recommendations=1)
    assert found["recommendations"]["products"][0] == {
        "product": "SHIRT-L",
        "score": 10.4,
        "code": "other_size",
        "because": "SHIRT-M",
    }


def test_who_opted_out_gets_none(trained: Shop, client: FlaskClient) -> None:
    event = {"event": "Unsubscribed", "message_id": "m", "customer_id": "c-1", "properties": {}}
    event["timestamp"] = utc_now().isoformat()
    assert client.post("/v1/events", json=event).status_code == 200
    assert ask(client, recommendations=3)["recommendations"]["code"] == "opted_out"


def test_a_fault_answers_an_empty_list_too(trained: Shop, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LedgerError("no disk")

    monkeypatch.setattr(trained.ledger, "record_decision", broken)
    answer = ask(client, recommendations=3)
    assert answer["recorded"] is False
    assert answer["recommendations"] == {
        "products": [],
        "version": None,
        "code": "fault",
        "detail": answer["reasons"][0]["detail"],
        "withheld": {},
    }


def test_offers_avoid_problem_products_where_the_programme_says_so(trained: Shop, client: FlaskClient) -> None:
    (trained.home.root / FOLDER / PROBLEMS).write_text("product,kind\nCOFFEE,quality\nGRINDER,fit\n")
    trained.refresh()
    before = ask(client, decision_id="d-1", recommendations=3)
    assert before["reasons"][0]["code"] != "excluded_product"
    assert before["recommendations"]["withheld"] == {"complaint_problem": 1}
    path = trained.home.programme_path
    path.write_text(path.read_text() + "\n[eligibility]\navoid_problem_products = true\n")
    trained.refresh()
    after = ask(client, decision_id="d-2")
    assert (after["action"]["action_id"], after["reasons"][0]["code"]) == ("control", "excluded_product")
    assert "COFFEE" in after["reasons"][0]["detail"]


def test_a_backup_takes_along_what_is_recommended_from(trained: Shop, tmp_path: Path) -> None:
    (trained.home.root / FOLDER / OUT_OF_STOCK).write_text("product\nMUG\n")
    backup(trained.home.root, tmp_path / "b.tar", now=utc_now())
    restore(tmp_path / "b.tar", tmp_path / "restored", now=utc_now())
    shelf, wrong = fresh_shelf(tmp_path / "restored", Shelf())
    assert wrong is None
    assert shelf.neighbours is not None
    assert shelf.neighbours.manifest.version == trained.home.recommendations.current
    assert shelf.out_of_stock == {"MUG"}


def test_what_was_recommended_is_exported(trained: Shop, client: FlaskClient) -> None:
    ask(client, decision_id="d-1", recommendations=1)
    ask(client, decision_id="d-2")
    decided = [trained.ledger.decision(one) for one in ("d-1", "d-2")]
    told, silent = (_decision_record(1, one, (), "salt")["recommended"] for one in decided if one)
    assert json.loads(told)["products"][0]["product"] == "GRINDER"
    assert silent is None


def test_who_was_answered_too_late_was_recommended_nothing(trained: Shop, client: FlaskClient) -> None:
    ask(client, recommendations=2)
    decision = trained.ledger.decision("d-1")
    assert decision is not None
    assert decision.recommended is not None
    assert withdrawn(decision).recommended is None
