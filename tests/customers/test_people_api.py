"""What a marketer sees of a customer and of segments over HTTP."""

import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from decision.ledger.base import NewProfile
from decision.records import ProfileSource
from decision.wiring import Home, Shop
from tests.api.test_openapi import check
from tests.support import NOW, client_of


@pytest.fixture
def shop(scored: Home) -> Iterator[Shop]:
    shop = Shop(scored)
    yield shop
    shop.close()


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    return client_of(shop)


def test_a_customer_is_shown_with_what_is_foretold_and_what_is_not(client: FlaskClient, shop: Shop) -> None:
    hers = client.get("/v1/customers/c-8").get_json()
    assert hers["known"]["orders"] == 8
    assert hers["predictions"]["purchases"]["value"] == 8
    assert hers["predictions"]["churn"]["value"] is None
    assert hers["predictions"]["churn"]["unit"] == "probability"
    assert "clv_low" not in hers["predictions"]
    assert set(hers["predictions"]["clv"]) == {"value", "unit", "meaning"}, "without a model there is no interval"
    (source,) = hers["worked_out"]
    run = shop.ledger.people.run()
    assert run is not None
    assert source["version"] == run.version
    assert {s["kind"] for s in hers["segments"]} == {"rfm", "grid"}
    assert "Used instead" in hers["not_enough_data"]["repurchase, churn and next purchase"]
    (made,) = client.get("/v1/customers/c-1").get_json()["decisions"]
    assert made["decision_id"] == "d-1"


def test_reasons_and_features_are_shown_where_there_are_some(client: FlaskClient, shop: Shop) -> None:
    run = shop.ledger.people.run()
    assert run is not None
    told = {"why": "silent for 3 times her usual gap: × 0.4\nbought once: × 0.5", "churn": 0.9, "rfm": "at_risk"}
    shop.ledger.people.replace([NewProfile("c-2", ProfileSource("predictions", run.as_of, run.version), told)])
    shop.ledger.profiles.put([NewProfile("c-2", ProfileSource("features", NOW, "f"), {"recency_days": 4.0})])
    hers = client.get("/v1/customers/c-2").get_json()
    assert hers["why"] == told["why"].split("\n")  # type: ignore[union-attr]
    assert hers["predictions"]["churn"]["value"] == 0.9
    assert "why" not in hers["predictions"]
    assert hers["features"]["recency_days"]["value"] == 4.0
    assert hers["features"]["recency_days"]["unit"] == "days"
    assert [w["source"] for w in hers["worked_out"]] == ["features", "predictions"]


def test_who_is_unknown_is_a_problem(client: FlaskClient) -> None:
    for path in ("/v1/customers/nobody", "/v1/segments/champion/customers"):
        found = client.get(path)
        assert (found.status_code, found.mimetype) == (404, "application/problem+json")
    assert "did you mean 'champions'?" in client.get("/v1/segments/champion/customers").get_json()["detail"]
    for limit in ("0", "1001", "x"):
        assert client.get(f"/v1/segments/champions/customers?limit={limit}").status_code == 422


def test_a_segment_comes_page_by_page_or_line_by_line(client: FlaskClient) -> None:
    segments = client.get("/v1/segments").get_json()
    largest = max((s for s in segments["segments"] if s["kind"] == "grid"), key=lambda s: s["size"])
    path, found, after = f"/v1/segments/{largest['name']}/customers", [], ""
    while after is not None:
        page = client.get(path, query_string={"limit": 1, "after": after}).get_json()
        found += [one["customer_id"] for one in page["customers"]]
        after = page["next"]
    assert found == sorted(found)
    assert len(found) == largest["size"] > 1
    for asked in ({"headers": {"Accept": "application/x-ndjson"}}, {"query_string": {"format": "ndjson"}}):
        lines = client.get(path, **asked).text.splitlines()  # type: ignore[arg-type]
        assert [json.loads(line)["customer_id"] for line in lines] == found


def test_answers_are_as_described(client: FlaskClient) -> None:
    api = client.get("/openapi.json").get_json()
    for address, real in (
        ("/v1/customers/{customer_id}", "/v1/customers/c-8"),
        ("/v1/segments", "/v1/segments"),
        ("/v1/segments/{name}/customers", "/v1/segments/likely-staying/customers"),
    ):
        schema = api["paths"][address]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        check(api, schema, client.get(real).get_json())


def test_before_the_first_run_there_are_no_segments(home: Home) -> None:
    shop = Shop(home)
    assert client_of(shop).get("/v1/segments").status_code == 404
    shop.close()
