"""The description of the service is valid, and true."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from decision.api.event_catalogue import EVENTS, EXAMPLES
from decision.api.webhook import DECISION_MADE, TEST, message_of, trial_message
from decision.stages.events import NAMES
from decision.stages.signing import Secret, headers
from tests import support
from tests.api.test_api_decisions import ask, question
from tests.support import NOW


@pytest.fixture
def api(client: FlaskClient) -> dict[str, Any]:
    return client.get("/openapi.json").get_json()  # type: ignore[no-any-return]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def resolved(api: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    found: Any = api
    for part in reference[2:].split("/"):
        found = found[part]
    return found


TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def check(api: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Hold a value to a schema, as far as our schemas go."""
    if "$ref" in schema:
        check(api, resolved(api, schema["$ref"]), value)
    elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
        assert any(fits(api, one, value) for one in alternatives)
    elif "enum" in schema:
        assert value in schema["enum"]
    elif "type" in schema:
        assert isinstance(value, TYPES[schema["type"]])
        assert not isinstance(value, str) or re.search(schema.get("pattern", ""), value)
        if isinstance(value, dict):
            check_object(api, schema, value)
        for inner in value if isinstance(value, list) and "items" in schema else ():
            check(api, schema["items"], inner)


def check_object(api: dict[str, Any], schema: dict[str, Any], value: dict[str, Any]) -> None:
    assert set(schema.get("required", ())) <= set(value)
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, inner in value.items():
        assert key in properties or others is not False, f"unknown {key}"
        check(api, properties.get(key, others if isinstance(others, dict) else {}), inner)


def fits(api: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    try:
        check(api, schema, value)
    except AssertionError:
        return False
    return True


def test_it_is_an_openapi_3_1_document(api: dict[str, Any]) -> None:
    assert api["openapi"] == "3.1.0"
    assert {"title", "version"} <= set(api["info"])
    names = [call["operationId"] for verbs in api["paths"].values() for call in verbs.values()]
    assert len(names) == len(set(names)) == 23
    for verbs in api["paths"].values():
        for call in verbs.values():
            assert next(iter(call["responses"])) in ("200", "201", "204")
            assert call["summary"]


def test_every_reference_resolves(api: dict[str, Any]) -> None:
    references = [part["$ref"] for part in walk(api) if "$ref" in part]
    assert len(references) > 20
    for reference in references:
        assert isinstance(resolved(api, reference), dict)


def test_path_parameters_are_described(api: dict[str, Any]) -> None:
    for path, verbs in api["paths"].items():
        for call in verbs.values():
            described = {p["name"] for p in call.get("parameters", ()) if p["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path))


def test_the_examples_are_valid_and_are_taken(client: FlaskClient, api: dict[str, Any]) -> None:
    for path in ("/v1/decisions", "/v1/events"):
        content = api["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        check(api, content["schema"], content["example"])
        with pytest.raises(AssertionError):
            check(api, content["schema"], content["example"] | {"customer": 1})
        example = content["example"] | ({"timestamp": "2026-03-04T10:00:00Z"} if path == "/v1/events" else {})
        assert client.post(path, json=example).status_code == 200


def test_every_event_is_described_with_what_it_needs(client: FlaskClient, api: dict[str, Any]) -> None:
    assert {name for name, *_ in EVENTS} == set(NAMES)
    page, described = client.get("/docs").text, api["paths"]["/v1/events"]["post"]["description"]
    for name, *_ in EVENTS:
        assert f"<code>{name}</code>" in page
        assert f"**{name}**" in described
    assert "put the code of the decision into coupon" in page
    assert "at most a day in the future" in page


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_every_example_of_an_event_is_taken(client: FlaskClient, example: dict[str, Any]) -> None:
    response = client.post("/v1/events", json=example | {"timestamp": "2026-03-04T10:00:00Z"})
    assert response.get_json() == {"accepted": 1, "duplicates": 0, "rejected": []}


@pytest.mark.parametrize(("name", "about", "properties"), EVENTS)
def test_an_event_is_refused_without_what_is_said_to_be_required(
    client: FlaskClient, name: str, about: str, properties: tuple[str, ...]
) -> None:
    given = {"order_id": "o-1", "revenue": "1.00"}
    required = [one.partition("*")[0] for one in properties if "*" in one]
    for left_out in ["", *required]:
        sent = {key: value for key, value in given.items() if key in required and key != left_out}
        event = {"event": name, "customer_id": "c-1", "timestamp": "2026-03-04T10:00:00Z", "properties": sent}
        assert client.post("/v1/events", json=event).status_code == (422 if left_out else 200)


def test_what_other_systems_are_told_is_as_described(client: FlaskClient, api: dict[str, Any]) -> None:
    decision = support.decided("discount@email", store="hamburg")
    bodies = {
        DECISION_MADE: message_of(decision, support.programme()),
        TEST: trial_message(NOW),
    }
    signed = headers((Secret(b"x" * 32, None),), message_id="m", at=NOW, body=b"")
    assert set(api["webhooks"]) == set(bodies)
    for name, body in bodies.items():
        call = api["webhooks"][name]["post"]
        content = call["requestBody"]["content"]["application/json"]
        check(api, content["schema"], json.loads(body))
        check(api, content["schema"], content["example"])
        told, example = json.loads(body), content["example"]
        assert (set(told), set(told["data"] or ())) == (set(example), set(example["data"] or ())), "every field"
        assert {parameter["name"] for parameter in call["parameters"]} == set(signed)
        assert name in client.get("/docs").text


def answers(client: FlaskClient) -> Iterator[tuple[str, str, Any]]:
    yield "/v1/decisions", "post", ask(client, decision_id="d-1")
    yield "/v1/decisions/{decision_id}", "get", client.get("/v1/decisions/d-1").get_json()
    yield "/v1/policy", "get", client.get("/v1/policy").get_json()
    yield "/v1/events", "post", client.post("/v1/events", json={"batch": [1]}).get_json()
    yield "/livez", "get", client.get("/livez").get_json()
    yield "/readyz", "get", client.get("/readyz").get_json()


def test_answers_are_as_described(client: FlaskClient, api: dict[str, Any]) -> None:
    for path, verb, answer in answers(client):
        check(api, api["paths"][path][verb]["responses"]["200"]["content"]["application/json"]["schema"], answer)


def test_problems_are_as_described(client: FlaskClient, api: dict[str, Any]) -> None:
    problem = client.post("/v1/decisions", json=question(trigger="x"))
    described = api["paths"]["/v1/decisions"]["post"]["responses"][str(problem.status_code)]
    check(api, described["content"][problem.mimetype]["schema"], problem.get_json())


def test_the_page_shows_every_address_and_shape(client: FlaskClient, api: dict[str, Any]) -> None:
    response = client.get("/docs")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    for path in api["paths"]:
        assert path in response.text
    for name in api["components"]["schemas"]:
        assert f'<h3 id="{name}">' in response.text
    for target in re.findall(r'href="#(\w+)"', response.text):
        assert f'id="{target}"' in response.text
    assert "curl -s" in response.text
    assert "?." not in response.text
    assert "`" not in response.text
    assert "Test shop" in response.text
    assert "://" not in re.sub(r"http://127\.0\.0\.1:8080", "", response.text), "nothing is fetched from elsewhere"
