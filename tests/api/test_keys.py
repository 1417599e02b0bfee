"""Who may call what. The table is held against the addresses that the application really has."""

import base64
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic, sleep
from urllib.error import HTTPError

import pytest
from flask import Flask
from flask.testing import FlaskClient

from decision.api.app import create_app
from decision.api.auth import presented
from decision.errors import LedgerError
from decision.ledger.sqlite import SqliteLedger
from decision.stages.keys import Role
from decision.wiring import Home, Shop
from tests.api.test_api_decisions import question
from tests.api.test_real_server import serving
from tests.support import NOW, key_in

EVERYBODY = set(Role)
READERS = {Role.ANALYST, Role.MARKETER, Role.ADMIN}
TILLS = {Role.CHECKOUT, Role.ADMIN}
# None: nobody is asked for a key.
TABLE: dict[tuple[str, str], set[Role] | None] = {
    ("POST", "/v1/decisions"): TILLS,
    ("GET", "/v1/decisions/<decision_id>"): READERS,
    ("POST", "/v1/events"): TILLS,
    ("POST", "/v1/batch"): TILLS,
    ("POST", "/v1/track"): TILLS,
    ("POST", "/v1/identify"): TILLS,
    ("POST", "/ofrep/v1/evaluate/flags/<key>"): TILLS,
    ("POST", "/ofrep/v1/evaluate/flags"): TILLS,
    ("POST", "/personalizer/v1.0/rank"): TILLS,
    ("POST", "/personalizer/v1.0/events/<event_id>/reward"): TILLS,
    ("POST", "/personalizer/v1.0/events/<event_id>/activate"): TILLS,
    ("GET", "/v1/customers/<customer_id>"): READERS,
    ("GET", "/v1/customers/<customer_id>/export"): {Role.ADMIN},
    ("DELETE", "/v1/customers/<customer_id>"): {Role.ADMIN},
    ("GET", "/v1/segments"): READERS,
    ("GET", "/v1/segments/<name>/customers"): READERS,
    ("GET", "/v1/experiments"): READERS,
    ("GET", "/v1/experiments/<experiment_id>"): READERS,
    ("GET", "/v1/policy"): READERS,
    ("GET", "/metrics"): {*READERS, Role.OPERATOR},
    ("GET", "/openapi.json"): EVERYBODY,
    ("GET", "/docs"): EVERYBODY,
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
}
# No key opens these: each asks for its platform's signature, as tests/compat shows at length.
SIGNED = {("POST", "/v1/webhooks/shopify"), ("POST", "/v1/webhooks/woocommerce")}


@pytest.fixture
def keys(shop: Shop) -> dict[Role, str]:
    found = {role: key_in(shop.ledger, role, name=f"a {role}") for role in Role}
    shop.refresh()
    return found


@pytest.fixture
def app(shop: Shop) -> Flask:
    return create_app(shop)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """A client without any key."""
    return app.test_client()


def calls(app: Flask) -> Iterator[tuple[str, str]]:
    for method, path in addresses(app):
        if ("POST", path) not in SIGNED:
            yield method, path


def addresses(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            yield method, rule.rule


def access(method: str, path: str) -> set[Role] | None:
    """Return who may call; HEAD and OPTIONS are of whoever may call the address at all."""
    of_path = {verb: roles for (verb, where), roles in TABLE.items() if where == path}
    return of_path[method] if method in of_path else next(iter(of_path.values()))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_the_table_has_every_address(app: Flask) -> None:
    assert {call for call in addresses(app) if call[0] not in ("HEAD", "OPTIONS")} == set(TABLE) | SIGNED


@pytest.mark.parametrize(("method", "path"), sorted(SIGNED))
def test_a_webhook_asks_for_a_signature_and_a_key_is_none(
    stranger: FlaskClient, shop: Shop, keys: dict[Role, str], method: str, path: str
) -> None:
    for headers in ({}, *map(bearer, keys.values())):
        response = stranger.open(path, method=method, json={"id": 1}, headers=headers)
        assert (response.status_code, response.mimetype) == (401, "application/problem+json")
        assert response.headers.getlist("WWW-Authenticate") == ['Signature realm="encore"']
    assert shop.ledger.inbox() == []
    described = stranger.get("/openapi.json", headers=bearer(keys[Role.ADMIN])).get_json()["paths"][path]["post"]
    assert described["security"] == []
    assert "401" in described["responses"]


def test_every_role_may_do_what_the_table_says_and_nothing_else(
    app: Flask, stranger: FlaskClient, keys: dict[Role, str]
) -> None:
    for method, path in calls(app):
        allowed = access(method, path)
        for role, key in keys.items():
            response = stranger.open(path.replace("<decision_id>", "d-1"), method=method, json={}, headers=bearer(key))
            found = response.status_code
            assert (found == 403) == (allowed is not None and role not in allowed), (method, path, role, found)
            assert found != 401
            if found == 403 and method != "HEAD":
                assert set(re.findall(r"\w+", response.get_json()["detail"])) & EVERYBODY == {*(allowed or ()), role}
                assert key[16:] not in response.text


def test_without_a_valid_key_only_health_is_answered(
    app: Flask, stranger: FlaskClient, shop: Shop, keys: dict[Role, str]
) -> None:
    revoked = keys[Role.ADMIN]
    shop.ledger.revoke_key(revoked[7:15], actor="tester", now=NOW)
    shop.refresh()
    wrong = revoked[:-1] + ("A" if revoked[-1] != "A" else "B")
    mixed = keys[Role.ANALYST][:16] + keys[Role.MARKETER][16:]
    for method, path in calls(app):
        for key in (None, "", "x", revoked, wrong, mixed):
            headers = {} if key is None else bearer(key)
            response = stranger.open(path.replace("<decision_id>", "d-1"), method=method, json={}, headers=headers)
            assert (response.status_code == 401) == (access(method, path) is not None), (method, path, key)
            if response.status_code == 401:
                assert response.headers.getlist("WWW-Authenticate") == [
                    'Bearer realm="encore"',
                    'Basic realm="encore"',
                ]
                assert response.mimetype == "application/problem+json"
                assert not key or key == "x" or key[16:] not in response.text


def test_an_unknown_address_tells_a_stranger_nothing(stranger: FlaskClient, keys: dict[Role, str]) -> None:
    for path, status in (("/v1/nothing", 404), ("/v1/policy", 405)):
        assert stranger.post(path).status_code == 401
        assert stranger.post(path, headers=bearer(keys[Role.ADMIN])).status_code == status


def test_a_route_that_declares_no_roles_is_for_admin_alone(
    app: Flask, stranger: FlaskClient, keys: dict[Role, str]
) -> None:
    app.add_url_rule("/new", view_func=lambda: "secret")
    assert stranger.get("/new").status_code == 401
    found = {role: stranger.get("/new", headers=bearer(key)).status_code for role, key in keys.items()}
    assert found == {role: 200 if role is Role.ADMIN else 403 for role in Role}


def test_a_shop_without_keys_answers_health_alone(app: Flask, stranger: FlaskClient, shop: Shop) -> None:
    assert not shop.keys
    for method, path in calls(app):
        assert (stranger.open(path, method=method).status_code == 401) == (access(method, path) is not None)
    assert "encore keys create" in stranger.get("/docs").get_json()["hint"]


@pytest.mark.parametrize("password", ["", ":", ":ignored", ":a:b"])
def test_a_key_may_come_as_the_user_name_of_basic(stranger: FlaskClient, keys: dict[Role, str], password: str) -> None:
    pair = base64.b64encode((keys[Role.CHECKOUT] + password).encode()).decode()
    for scheme in ("Basic", "basic", "BASIC "):
        response = stranger.post("/v1/decisions", json=question(), headers={"Authorization": f"{scheme} {pair}"})
        assert response.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !",
        "Basic YQ",
        "Basic /w==",
        "Digest x",
        "KEY",
        "Bearer \xff",
        "Basic \xff",
    ],
)
def test_a_broken_header_is_no_key(stranger: FlaskClient, header: str) -> None:
    response = stranger.get("/v1/policy", environ_overrides={"HTTP_AUTHORIZATION": header})
    assert response.status_code == 401


def test_no_scheme_but_the_two_is_read() -> None:
    assert presented("Digest encore_x") == presented("encore_x") == presented("") == ""
    assert presented("bearer  encore_x ") == "encore_x"


def test_the_description_says_what_is_enforced(app: Flask, stranger: FlaskClient, keys: dict[Role, str]) -> None:
    api = stranger.get("/openapi.json", headers=bearer(keys[Role.ANALYST])).get_json()
    schemes = api["components"]["securitySchemes"]
    assert {name: (scheme["type"], scheme["scheme"]) for name, scheme in schemes.items()} == {
        "bearer": ("http", "bearer"),
        "basic": ("http", "basic"),
    }
    described = 0
    for (method, path), roles in TABLE.items():
        call = api["paths"].get(path.replace("<", "{").replace(">", "}"), {}).get(method.lower())
        if call is None:
            assert path in ("/docs", "/metrics", "/openapi.json")
            continue
        described += 1
        assert call["security"] == ([] if roles is None else [{"bearer": []}, {"basic": []}])
        assert set(call.get("x-roles", ())) == (roles or set())
        assert ({"401", "403"} <= set(call["responses"])) == (roles is not None)
    assert described == 21


def test_a_fault_leaves_no_key_in_the_log(
    stranger: FlaskClient,
    shop: Shop,
    keys: dict[Role, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)

    def broken(*_: object, **__: object) -> None:
        raise LedgerError("Expected a disk, found none.")

    for method in ("customer", "decision", "api_keys"):
        monkeypatch.setattr(shop.ledger, method, broken)
    for key in keys.values():
        for path in ("/v1/decisions", "/v1/events", "/v1/nothing"):
            stranger.post(path, json=question(), headers=bearer(key))
    assert "found none" in caplog.text
    for key in keys.values():
        assert key[16:] not in caplog.text
    shop.refresh()
    assert shop.keys.find(keys[Role.ADMIN]), "a ledger that can't be read for a moment locks nobody out"
    assert shop.faults["LedgerError"] > 0


def test_running_workers_know_a_new_key_and_forget_a_revoked_one(home: Home) -> None:
    ledger = SqliteLedger.create(home.ledger_path)
    with serving(home) as server:

        def status(key: str) -> int:
            try:
                server.call("/v1/policy", Authorization=f"Bearer {key}")
            except HTTPError as refused:
                refused.close()
                return refused.code
            return 200

        def soon(key: str, wanted: int) -> None:
            # Workers look every half second; two seconds leave room for a busy machine.
            began, row = monotonic(), 0
            while row < 20:
                row = row + 1 if status(key) == wanted else 0
                assert monotonic() - began < 2.0, (wanted, server.text())

        key = key_in(ledger, Role.ANALYST)
        soon(key, 200)
        other = key_in(ledger, Role.CHECKOUT)
        ledger.revoke_key(key[7:15], actor="tester", now=NOW)
        soon(key, 401)
        soon(other, 403)
        with suppress(HTTPError):
            server.call("/v1/decisions", {"customer_id": 1}, Authorization=f"Bearer {other}")
        sleep(0.1)
        for secret in (key, other, server.key):
            assert secret[16:] not in server.text()
    ledger.close()
