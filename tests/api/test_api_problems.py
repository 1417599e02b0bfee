"""Every kind of mistake: its status, its place, and a sentence a person understands."""

import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision.wiring import Shop
from tests.api.test_api_decisions import question

ORDER = question()["order"]


def with_total(**changes: Any) -> dict[str, Any]:
    return question(order=ORDER | {"total": {"amount": "1", "currency": "EUR"} | changes})


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in question().items() if key != name}


def amount(value: Any) -> tuple[dict[str, Any], str]:
    return with_total(amount=value), "$.order.total.amount"


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    (question(customer="x"), "$.customer", "unknown field 'customer'; did you mean 'customer_id'?"),
    (without("customer_id"), "$.customer_id", "expected the field 'customer_id', found nothing."),
    (without("order"), "$.order", "expected the field 'order'"),
    (question(order={"order_id": "o"}), "$.order.total", "expected the field 'total'"),
    (question(order=ORDER | {"totl": 1}), "$.order.totl", "unknown field 'totl'; did you mean 'total'?"),
    (question(customer_id=7), "$.customer_id", "Expected `str`, got `int`"),
    (question(customer_id=""), "$.customer_id", "length >= 1"),
    (question(customer_id="c" * 201), "$.customer_id", "length <= 200"),
    (question(customer_id=None), "$.customer_id", "got `null`"),
    (question(trigger="birthday"), "$.trigger", "expected one of purchase, return, found 'birthday'."),
    (question(order=ORDER | {"item_count": 0}), "$.order.item_count", ">= 1"),
    (question(order=ORDER | {"item_count": 1.5}), "$.order.item_count", "got `float`"),
    (question(order=ORDER | {"products": "SHOE"}), "$.order.products", "Expected `array`"),
    (question(order=ORDER | {"products": ["A", 3]}), "$.order.products[1]", "got `int`"),
    (
        question(decision_id="no spaces"),
        "$.decision_id",
        "expected up to 64 letters, digits and _ . : -, found 'no spaces'.",
    ),
    (question(decision_id="x" * 65), "$.decision_id", "length <= 64"),
    (question(features={"tier": "a", "age": [1]}), "$.features.age", "got `array`"),
    (question(features={"age": "old"}), "$.features.age", "a finite number"),
    (question(features={"aeg": 1}), "$.features.aeg", "unknown feature 'aeg'; did you mean 'age'?"),
    (question(features={"tier": True}), "$.features.tier", "got `bool`"),
    (question(consent={"email": "yes"}), "$.consent.email", "got `str`"),
    (question(consent={"fax": True}), "$.consent.fax", "unknown channel 'fax'; known: on_page, email, sms"),
    (question(store="rome"), "$.store", "Expected a store of the programme at $.store, found 'rome'"),
    (question(candidates={"offers": ["discunt"]}), "$.candidates.offers[0]", "did you mean 'discount'?"),
    (question(candidates={"channels": ["sms", "fax"]}), "$.candidates.channels[1]", "unknown channel 'fax'"),
    (question(candidates={"action": []}), "$.candidates.action", "unknown field"),
    (*amount("NaN"), "finite"),
    (*amount("Infinity"), "finite"),
    (*amount("-0.01"), "at least 0"),
    (*amount(-5), "at least 0"),
    (*amount("1000000001"), "at most"),
    (*amount("1e99999999"), "at most"),
    (*amount(1e300), "at most"),
    (*amount("1.0000001"), "six decimals"),
    (*amount("1.00000000000000000000000000000000001"), "six decimals"),
    (*amount("cheap"), "expected a decimal such as \"49.90\", found 'cheap'."),
    (*amount(True), "got `bool`"),
    (*amount(None), "got `null`"),
    (with_total(currency="USD"), "$.order.total.currency", "programme's currency EUR"),
    (with_total(currency="eur"), "$.order.total.currency", "expected an ISO 4217 code such as EUR, found 'eur'."),
    (question(order=ORDER | {"total": 59.9}), "$.order.total", "Expected `object`, got `float`"),
    (
        question(order=ORDER | {"discount": {"amount": "-1", "currency": "EUR"}}),
        "$.order.discount.amount",
        "at least 0",
    ),
]


@pytest.mark.parametrize(("body", "pointer", "sentence"), MISTAKES)
def test_a_mistake_in_a_question(
    client: FlaskClient, shop: Shop, body: dict[str, Any], pointer: str, sentence: str
) -> None:
    response = client.post("/v1/decisions", json=body)
    found = response.get_json()
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert found["status"] == 422
    assert found["type"] in ("urn:encore:problem:invalid-input", "urn:encore:problem:unknown-name")
    assert found["pointer"] == pointer
    assert sentence in found["detail"]
    assert shop.ledger.counts()["decisions"] == 0
    assert shop.faults == {}, "the caller's mistakes are no faults of ours"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (question(store="rome"), "store"),
        (question(candidates={"offers": ["discunt"]}), "offer"),
        (question(consent={"fax": True}), "channel"),
        (question(features={"aeg": 1}), "feature"),
    ],
)
def test_a_name_that_the_programme_does_not_have_is_an_unknown_name(
    client: FlaskClient, body: dict[str, Any], name: str
) -> None:
    found = client.post("/v1/decisions", json=body).get_json()
    assert found["type"] == "urn:encore:problem:unknown-name"
    assert name in found["detail"]
    assert "?." not in found["detail"]


def test_a_problem_says_nothing_empty(client: FlaskClient) -> None:
    assert client.get("/v1/nothing").get_json().keys() == {"type", "title", "status", "detail"}


def test_keys_that_come_twice_are_a_mistake_like_any_other(client: FlaskClient) -> None:
    """The validator meets the first, who reads the body again the last."""
    for body in (
        b'{"order": {"total": []}, "order": 3}',
        b'{"features": {"a": [1]}, "features": 3}',
        b'{"features": {"a": [1], "a": 1}}',
        b'{"order": {"products": [1]}, "order": {"products": []}}',
    ):
        response = client.post("/v1/decisions", data=body, content_type="application/json")
        assert response.status_code == 422
        assert response.get_json()["pointer"].startswith("$.")


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/events"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b"{'a': 1}", b'{"a": NaN}', b"\xff\xfe", b'{"customer_id": "\xff"}', b'{"a": 1} x']
)
def test_what_is_no_json_is_a_bad_request(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(path, data=body, content_type="application/json")
    found = response.get_json()
    assert (response.status_code, found["type"]) == (400, "urn:encore:problem:bad-json")
    assert found["detail"].startswith("Expected JSON, found " + ("something else: " if body else "an empty body."))


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/events"])
@pytest.mark.parametrize("body", [b"[]", b"null", b"3", b'"text"', b"{}"])
def test_json_of_another_shape_is_invalid_input(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(path, data=body, content_type="application/json")
    assert (response.status_code, response.get_json()["type"]) == (422, "urn:encore:problem:invalid-input")
    assert response.get_json()["pointer"].startswith("$")


@pytest.mark.parametrize(("path", "limit"), [("/v1/decisions", 64 * 1024), ("/v1/events", 1024 * 1024)])
def test_too_large_a_body_is_refused(client: FlaskClient, path: str, limit: int) -> None:
    body = b'{"x": "' + b"y" * limit + b'"}'
    response = client.post(path, data=body, content_type="application/json")
    assert (response.status_code, response.get_json()["type"]) == (413, "urn:encore:problem:request-entity-too-large")
    assert response.get_json()["detail"] == f"Expected a body of at most {limit:,} bytes, found a larger one."
    assert client.post(path, data=body[: limit - 10], content_type="application/json").status_code == 400


@pytest.mark.parametrize(("path", "limit"), [("/v1/decisions", 64 * 1024), ("/v1/events", 1024 * 1024)])
def test_too_large_a_body_in_chunks_is_refused_too(client: FlaskClient, path: str, limit: int) -> None:
    def post(size: int) -> int:
        body = io.BytesIO(b'{"x": "' + b"y" * (size - 9) + b'"}')
        environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        sent = client.post(path, input_stream=body, content_type="application/json", environ_overrides=environ)
        return sent.status_code

    assert [post(limit), post(limit + 1), post(10 * limit)] == [422, 413, 413]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_content_type_is_refused(client: FlaskClient, kind: str) -> None:
    response = client.post("/v1/decisions", data=json.dumps(question()), content_type=kind)
    assert (response.status_code, response.get_json()["type"]) == (415, "urn:encore:problem:unsupported-media-type")
    assert "application/json" in response.get_json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "", "APPLICATION/JSON"])
def test_json_by_other_spellings_is_taken(client: FlaskClient, kind: str) -> None:
    assert client.post("/v1/decisions", data=json.dumps(question()), content_type=kind).status_code == 200


@pytest.mark.parametrize("key", ["", '""', "k" * 201])
def test_an_impossible_key_is_refused(client: FlaskClient, key: str) -> None:
    response = client.post("/v1/decisions", json=question(), headers={"Idempotency-Key": key})
    assert (response.status_code, response.get_json()["pointer"]) == (422, "Idempotency-Key")
    assert "1 to 200 characters" in response.get_json()["detail"]


def test_both_id_and_key_are_one_too_many(client: FlaskClient) -> None:
    response = client.post("/v1/decisions", json=question(decision_id="d"), headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.get_json()["pointer"]) == (422, "$.decision_id")


@pytest.mark.parametrize("name", ["decision_id", "Idempotency-Key"])
def test_the_same_key_with_another_body_is_refused(client: FlaskClient, shop: Shop, name: str) -> None:
    def post(**changes: Any) -> Any:
        if name == "decision_id":
            return client.post("/v1/decisions", json=question(decision_id="d-1", **changes))
        return client.post("/v1/decisions", json=question(**changes), headers={name: "d-1"})

    assert post().status_code == 200
    refused = post(store="hamburg")
    assert (refused.status_code, refused.get_json()["type"]) == (422, "urn:encore:problem:idempotency-mismatch")
    assert "found another" in refused.get_json()["detail"]
    assert post().status_code == 200
    assert shop.ledger.counts()["decisions"] == 1
    assert shop.faults == {}


def test_an_unknown_address_and_a_wrong_verb(client: FlaskClient) -> None:
    response = client.get("/v2/decisions")
    assert (response.status_code, response.get_json()["type"]) == (404, "urn:encore:problem:not-found")
    response = client.get("/v1/decisions")
    assert (response.status_code, response.get_json()["type"]) == (405, "urn:encore:problem:method-not-allowed")
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert "POST" in response.get_json()["detail"]


def test_an_error_nobody_thought_of_is_a_problem_without_its_innards(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("secret innards")

    monkeypatch.setattr(shop.ledger, "decision", fail)
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    response = client.get("/v1/decisions/d-1")
    assert (response.status_code, response.mimetype) == (500, "application/problem+json")
    assert "secret" not in response.text


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["EUR", "NaN", "1e999999999", "-0", "email", "discount", "purchase", "hamburg", "٣"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
places = st.sampled_from(
    [
        ("customer_id",), ("trigger",), ("store",), ("order",), ("order", "order_id"), ("order", "total"),
        ("order", "total", "amount"), ("order", "total", "currency"), ("order", "discount"), ("order", "products"),
        ("order", "item_count"), ("candidates",), ("candidates", "offers"), ("features",), ("features", "age"),
        ("features", "tier"), ("consent",), ("consent", "email"), ("decision_id",),
    ]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(places, anything), min_size=1, max_size=3))
def test_whatever_is_asked_the_answer_is_a_decision_or_a_place(
    client: FlaskClient, shop: Shop, changes: list[tuple[tuple[str, ...], Any]]
) -> None:
    body = json.loads(json.dumps(question(candidates={}, features={}, consent={})))
    for path, value in changes:
        inner = body
        for key in path[:-1]:
            inner = inner[key] if isinstance(inner, dict) and isinstance(inner.get(key), dict) else {}
        inner[path[-1]] = value
    response = client.post("/v1/decisions", json=body)
    found = response.get_json()
    if response.status_code == 200:
        assert found["recorded"], shop.faults
    else:
        assert response.status_code == 422
        assert found["pointer"].startswith("$") or found["type"].endswith("idempotency-mismatch")
