"""A plain question is answered past Flask, just as Flask would; everything else is Flask's."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from decision.api.app import create_app
from decision.stages.keys import Role
from decision.wiring import Shop
from tests import support
from tests.api.test_api_decisions import question

BODY = json.dumps(question(decision_id="d-1")).encode()


class Served:
    """An application and the addresses that Flask was asked for."""

    def __init__(self, shop: Shop) -> None:
        self.app: Flask = create_app(shop)
        self.of_flask: list[str] = []
        self.app.before_request_funcs[None].insert(0, lambda: self.of_flask.append("asked"))

    def client(self, key: str) -> FlaskClient:
        return support.with_key(self.app.test_client(), key)


@pytest.fixture
def key(shop: Shop) -> str:
    key = support.key_in(shop.ledger, Role.CHECKOUT)
    shop.refresh()
    return key


@pytest.fixture
def served(shop: Shop, key: str) -> Served:
    return Served(shop)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
def test_flask_hears_nothing_of_a_plain_question(served: Served, key: str, kind: str) -> None:
    response = served.client(key).post("/v1/decisions", data=BODY, content_type=kind)
    assert response.status_code == 200
    assert response.json["recorded"]
    assert not served.of_flask


def test_both_ways_answer_the_same(served: Served, key: str) -> None:
    client = served.client(key)
    straight = client.post("/v1/decisions", data=BODY, content_type="application/json")
    # A parameter that the straight way does not know sends the same question through Flask.
    through = client.post("/v1/decisions", data=BODY, content_type="application/json; charset=UTF8")
    assert served.of_flask == ["asked"]
    assert through.data == straight.data
    assert dict(through.headers) | {"X-Request-Id": ""} == dict(straight.headers) | {"X-Request-Id": ""}


@pytest.mark.parametrize("header", ["k-1", '"k-1"'])
def test_the_header_names_the_decision_on_both_ways(served: Served, key: str, header: str) -> None:
    client, body = served.client(key), json.dumps(question()).encode()
    ways = ("application/json", "application/json; charset=UTF8")
    ids = {
        client.post(
            "/v1/decisions", data=body, content_type=kind, headers={"Idempotency-Key": header}
        ).json["decision_id"]
        for kind in ways
    }  # fmt: skip
    assert len(ids) == 1
    assert served.of_flask == ["asked"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"data": b"{"}, 400),
        ({"data": b'"\xff"'}, 400),
        ({"data": b"[" * 60_000}, 400),
        ({"data": json.dumps({"customer_id": 7}).encode()}, 422),
        ({"data": json.dumps(question(store="nowhere")).encode()}, 422),
        ({"data": b" " * 70_000}, 413),
        ({"content_type": "text/plain"}, 415),
        ({"headers": {"Idempotency-Key": "k-2"}}, 422),
        ({"headers": {"Authorization": "Bearer nobody"}}, 401),
    ],
)
def test_mistakes_are_told_by_flask(served: Served, key: str, changes: dict[str, Any], status: int) -> None:
    asked = {"data": BODY, "content_type": "application/json"} | changes
    response = served.client(key).post("/v1/decisions", **asked)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert served.of_flask == ["asked"]


def test_the_same_id_with_another_body_is_refused(served: Served, key: str) -> None:
    client = served.client(key)
    assert client.post("/v1/decisions", json=question(decision_id="d-1")).status_code == 200
    assert client.post("/v1/decisions", json=question(decision_id="d-1", trigger="return")).status_code == 422


def test_a_key_without_the_role_is_refused(served: Served, shop: Shop) -> None:
    key = support.key_in(shop.ledger, Role.ANALYST)
    shop.refresh()
    assert served.client(key).post("/v1/decisions", json=question()).status_code == 403
    assert served.of_flask == ["asked"]
