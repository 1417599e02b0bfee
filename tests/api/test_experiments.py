"""Published analyses over HTTP: listed, whole, for the shop's people; what is broken is said and counted."""

import json
import os
from typing import Any
from urllib.error import HTTPError

import msgspec
import pytest
from flask.testing import FlaskClient

from decision.errors import InvalidInput
from decision.results import LARGEST, AnalysisHead, Results
from decision.stages.keys import Role
from decision.wiring import Home, Shop
from tests.api.test_openapi import check
from tests.api.test_real_server import serving
from tests.support import DAY, NOW, client_of

HEAD = AnalysisHead("spring", "Spring", "Read once.", "clear", "new is better than old.", NOW, {"new": "better"})
WHOLE: dict[str, Any] = {"sound": True, "clear": True, "claim": "causal", "counts": {"old": 5, "new": 6}, "more": [1]}


@pytest.fixture
def results(shop: Shop) -> Results:
    return shop.home.results


def test_an_analysis_is_listed_and_read_whole(client: FlaskClient, results: Results) -> None:
    assert client.get("/v1/experiments").get_json() == {"experiments": [], "unreadable": []}
    results.publish(HEAD, WHOLE)
    results.publish(msgspec.structs.replace(HEAD, id="programme", state="too_early", as_of=NOW + DAY), WHOLE)
    listed = client.get("/v1/experiments").get_json()
    assert [(one["id"], one["state"]) for one in listed["experiments"]] == [
        ("programme", "too_early"),
        ("spring", "clear"),
    ]
    found = client.get("/v1/experiments/spring")
    assert (found.status_code, found.mimetype) == (200, "application/json")
    assert found.get_json() == WHOLE | msgspec.to_builtins(HEAD)
    assert found.get_json()["as_of"] == "2026-03-04T12:00:00Z"
    api = client.get("/openapi.json").get_json()
    for path, value in (("/v1/experiments", listed), ("/v1/experiments/{experiment_id}", found.get_json())):
        described = api["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        check(api, described, value)


def test_a_result_takes_the_place_of_the_one_before(client: FlaskClient, results: Results) -> None:
    for verdict in ("first", "second"):
        results.publish(msgspec.structs.replace(HEAD, verdict=verdict), WHOLE)
    (one,) = client.get("/v1/experiments").get_json()["experiments"]
    assert one["verdict"] == client.get("/v1/experiments/spring").get_json()["verdict"] == "second"
    assert [path.name for path in results.root.iterdir()] == ["spring.json"]


@pytest.mark.parametrize("role", Role)
def test_it_is_for_marketers_analysts_and_admins(shop: Shop, results: Results, role: Role) -> None:
    results.publish(HEAD, WHOLE)
    allowed = role in (Role.ANALYST, Role.MARKETER, Role.ADMIN)
    client = client_of(shop, role)
    for path in ("/v1/experiments", "/v1/experiments/spring"):
        assert client.get(path).status_code == (200 if allowed else 403)


@pytest.mark.parametrize(
    "name", ["nothing", "..", "%2e%2e%2fledger", "..%2f..%2fsecret", "SPRING", "spring.json", "a" * 65, "%00", "a%0Ab"]
)
def test_other_ids_lead_nowhere(client: FlaskClient, results: Results, name: str) -> None:
    results.publish(HEAD, WHOLE)
    (results.root.parent / "secret.json").write_text('{"id": "secret"}\n{"id": "secret"}')
    found = client.get(f"/v1/experiments/{name}")
    assert (found.status_code, found.mimetype) == (404, "application/problem+json")
    assert "secret" not in found.get_json().get("hint", "")


BROKEN = {
    "empty": b"",
    "cut": b'{"id": "broken", "na',
    "no head": b"{}\n{}\n",
    "not utf-8": b"\xff\xfe\n\xff",
    "other types": b"[1]\n[1]",
    "another's": msgspec.json.encode(HEAD) + b"\n" + msgspec.json.encode(HEAD),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_result_is_said_and_counted(client: FlaskClient, shop: Shop, results: Results, content: bytes) -> None:
    results.publish(HEAD, WHOLE)
    (results.root / "broken.json").write_bytes(content)
    listed = client.get("/v1/experiments").get_json()
    assert [one["id"] for one in listed["experiments"]] == ["spring"]
    assert listed["unreadable"] == ["broken"]
    found = client.get("/v1/experiments/broken")
    assert (found.status_code, found.mimetype) == (404, "application/problem+json")
    assert "'broken'" in found.get_json()["detail"]
    assert "--publish" in found.get_json()["hint"]
    assert shop.faults["InvalidResult"] == 2


def test_what_is_too_large_or_no_file_is_not_read(client: FlaskClient, results: Results) -> None:
    results.publish(HEAD, WHOLE)
    head = msgspec.json.encode(msgspec.structs.replace(HEAD, id="large"))
    with (results.root / "large.json").open("wb") as file:
        file.write(head + b"\n")
        file.truncate(LARGEST + 1)
    os.mkfifo(results.root / "pipe.json")
    (results.root / "folder.json").mkdir()
    for name in ("large", "pipe", "folder"):
        assert client.get(f"/v1/experiments/{name}").status_code == 404
    assert client.get("/v1/experiments").get_json()["unreadable"] == ["folder", "pipe"]
    with pytest.raises(InvalidInput, match="at most 8,000,000 bytes"):
        results.publish(HEAD, WHOLE | {"claim": "x" * LARGEST})
    assert json.loads(results.whole("spring"))["claim"] == "causal"


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "a.b", "a\n", "-a"])
def test_an_id_is_checked_before_it_is_written(results: Results, name: str) -> None:
    with pytest.raises(InvalidInput, match="--id"):
        results.publish(msgspec.structs.replace(HEAD, id=name), WHOLE)
    assert not results.root.exists()


def test_running_servers_answer_with_what_was_published_last(home: Home) -> None:
    with serving(home) as server:
        assert server.call("/v1/experiments") == {"experiments": [], "unreadable": []}
        home.results.publish(HEAD, WHOLE)
        assert server.call("/v1/experiments/spring")["counts"] == {"old": 5, "new": 6}
        assert [one["verdict"] for one in server.call("/v1/experiments")["experiments"]] == [HEAD.verdict]
        with pytest.raises(HTTPError) as refused:
            server.call("/v1/experiments/..%2fprogramme")
        refused.value.close()
        assert refused.value.code == 404
