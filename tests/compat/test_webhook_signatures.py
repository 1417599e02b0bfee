"""Who did not sign with the secret gets nothing done; what is signed never breaks anything."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from decision.api.app import create_app
from decision.api.compat.shopify_reading import PRIVACY
from decision.api.compat.signature import is_signed, secrets_of
from decision.api.compat.sources import SOURCES
from decision.api.compat.webhooks import BODY_LIMIT
from decision.errors import InvalidInput, LedgerError
from decision.flow.receive import Delivery, Reading
from decision.wiring import Shop
from tests import support
from tests.compat.deliveries import SECRETS, shopify, shopify_order, shopify_refund, signature, woo_order, woocommerce

PLATFORMS = {
    "shopify": (shopify, "orders/create", shopify_order),
    "woocommerce": (woocommerce, "order.created", woo_order),
}
HEADERS = {"shopify": "X-Shopify-Hmac-Sha256", "woocommerce": "X-WC-Webhook-Signature"}


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    return create_app(shop).test_client()


def sent(platform: str, **changes: Any) -> dict[str, Any]:
    make, topic, order = PLATFORMS[platform]
    return make(topic, order(), **changes)


def post(client: FlaskClient, platform: str, delivery: dict[str, Any]) -> int:
    return client.post(f"/v1/webhooks/{platform}", **delivery).status_code


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_wrong_signature_is_refused_counted_and_nothing_is_stored(
    client: FlaskClient, shop: Shop, platform: str
) -> None:
    right = sent(platform)
    signed = right["headers"][HEADERS[platform]]
    hexed = right["data"].hex()
    for wrong in ("", "x", "=", "é", signed[:-2], signed[:-2] + "A=", signed + "=", hexed, signature(b"", "x")):
        response = client.post(
            f"/v1/webhooks/{platform}", **(right | {"headers": right["headers"] | {HEADERS[platform]: wrong}})
        )
        assert (response.status_code, response.mimetype) == (401, "application/problem+json"), wrong
        assert f"ENCORE_{platform.upper()}_SECRET" in response.get_json()["hint"]
    assert post(client, platform, right | {"data": right["data"] + b" "}) == 401, (
        "the body as it came is what is signed"
    )
    assert shop.faults == {f"{platform}_unsigned": 10}
    assert (shop.ledger.counts()["outcomes"], shop.ledger.inbox()) == (0, [])
    assert post(client, platform, right) == 200


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_a_secret_nothing_is_taken(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.delenv(f"ENCORE_{platform.upper()}_SECRET")
    for secret in (SECRETS[platform], ""):
        assert post(client, platform, sent(platform, secret=secret)) == 401


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_secret_is_replaced_while_both_are_valid(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    """As it happens: the new one is written below the old one, the platform changes over, the old one is deleted."""
    name, file = f"ENCORE_{platform.upper()}_SECRET", tmp_path / "secrets"
    monkeypatch.delenv(name)
    monkeypatch.setenv(f"{name}_FILE", str(file))

    def taken(secret: str) -> bool:
        return post(client, platform, sent(platform, secret=secret)) == 200

    assert not taken("old"), "the file is not there yet"
    file.write_text("old\n")
    assert (taken("old"), taken("new")) == (True, False)
    file.write_text("old\nnew\n\n")
    assert (taken("old"), taken("new"), taken("")) == (True, True, False)
    file.write_text("new\n")
    assert (taken("old"), taken("new")) == (False, True)
    file.write_bytes(b"\xff")
    assert not taken("new")


def test_the_environment_and_the_file_are_both_read(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("b c\r\nd\n")
    found = secrets_of("shopify", {"ENCORE_SHOPIFY_SECRET": "a", "ENCORE_SHOPIFY_SECRET_FILE": str(tmp_path / "s")})
    assert found == (b"a", b"b c", b"d")
    assert secrets_of("woocommerce", {"ENCORE_SHOPIFY_SECRET": "a"}) == ()


def test_no_secret_signs_nothing() -> None:
    assert not is_signed(b"x", signature(b"x", ""), ())


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_secret_and_nobody_is_in_the_log(
    client: FlaskClient, shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    caplog.set_level(logging.DEBUG)
    post(client, platform, sent(platform, secret="wrong"))

    def broken(*_: object, **__: object) -> None:
        raise LedgerError("Expected a disk, found none.")

    monkeypatch.setattr(shop.ledger, "record_outcomes", broken)
    assert post(client, platform, sent(platform)) == 503, "what could not be written is to be sent again"
    for word in (SECRETS[platform], "anna@example.com", "Nordkai"):
        assert word not in caplog.text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_bodies_are_bounded(client: FlaskClient, shop: Shop, platform: str) -> None:
    make, topic, order = PLATFORMS[platform]
    assert post(client, platform, make(topic, json.dumps(order()).encode() + b" " * BODY_LIMIT)) == 413
    assert post(client, platform, sent(platform) | {"content_type": "text/plain"}) == 415
    assert shop.ledger.inbox() == []


amounts = st.sampled_from(
    ["1.00", "-1.00", "NaN", "Infinity", "1e99", "0.0000001", "1e-400", "9" * 40, "", " 1 ", "1,00"]
)
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | amounts
moments = st.sampled_from(
    ["2026-03-04T12:00:00Z", "2026-03-04T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)


def places(value: Any) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every field of a payload, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (key,)
        yield from ((key, *place) for place in places(below))


def shaken(payload: Any) -> st.SearchStrategy[Any]:
    """Return what is nearly a payload: up to four fields gone or wrong, at any depth."""
    junk = values | moments | amounts | st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=3), values)
    changes = st.lists(st.tuples(st.sampled_from(sorted(places(payload), key=str)), junk, st.booleans()), max_size=4)
    return changes.map(lambda drawn: _with(payload, drawn))


def _with(payload: Any, changes: list[tuple[tuple[str | int, ...], Any, bool]]) -> Any:
    changed = deepcopy(payload)
    for place, found, gone in changes:
        # What an earlier change has replaced is not there any more.
        with suppress(KeyError, IndexError, TypeError):
            inner = reduce(lambda value, key: value[key], place[:-1], changed)
            inner[place[-1]] = found
            if gone:
                del inner[place[-1]]
    return changed


CASES: dict[str, tuple[str, str, Any]] = {
    "order": (
        "shopify",
        "orders/updated",
        shopify_order(refunds=[shopify_refund()], cancelled_at="2026-03-04T12:00:00Z"),
    ),
    "refund": ("shopify", "refunds/create", shopify_refund()),
    "consent": (
        "shopify",
        "customers/update",
        {"id": 1, "email_marketing_consent": {"state": "subscribed", "consent_updated_at": "2026-03-04T12:00:00Z"}},
    ),
    "privacy": ("shopify", min(PRIVACY), {"shop_domain": "x", "customer": {"id": 1}}),
    "woo order": ("woocommerce", "order.updated", woo_order(refunds=[{"id": 1, "total": "-5.00"}], status="refunded")),
    "woo customer": ("woocommerce", "customer.deleted", {"id": 1}),
}
PROGRAMME = support.programme()


@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
def test_whatever_is_signed_is_read_or_refused_with_a_reason(case: str, data: st.DataObject) -> None:
    name, topic, payload = CASES[case]
    source = SOURCES[name]
    body = json.dumps(data.draw(shaken(payload))).encode()
    delivery = Delivery(name, topic, "encore.example", body)
    assert len(source.kept(body)) <= 2 * len(body) + 10
    try:
        reading = source.read(delivery, PROGRAMME)
    except InvalidInput:
        return
    check(reading)
    # What is kept in the inbox says the same as what came.
    again = source.read(Delivery(name, topic, "encore.example", source.kept(body).encode()), PROGRAMME)
    assert again == reading


def check(reading: Reading) -> None:
    assert reading.events or reading.ignored or reading.task
    for event in reading.events:
        assert len(event.message_id or "") <= 200
        for name in ("revenue", "discount"):
            amount = event.properties.get(name, "0")
            assert isinstance(amount, str), "money is never a float"
            assert 0 <= Decimal(amount).copy_abs() <= Decimal(10) ** 11


@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for source in SOURCES.values():
        source.kept(body)
        for _, topic, _ in CASES.values():
            with suppress(InvalidInput):
                check(source.read(Delivery(source.name, topic, "", body), PROGRAMME))


@given(data=st.data())
def test_whatever_is_signed_is_answered(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Through the whole application, with a ledger: never a fault."""
    case = data.draw(st.sampled_from(sorted(CASES)))
    name, topic, payload = CASES[case]
    body = json.dumps(data.draw(shaken(payload))).encode()
    client = _application(tmp_path_factory)
    make = PLATFORMS[name][0]
    response = client.post(f"/v1/webhooks/{name}", **make(topic, body))
    assert response.status_code == 200, response.text
    receipt = response.get_json()
    assert receipt["accepted"] + receipt["duplicates"] or receipt["ignored"] or receipt["inbox"]


_clients: list[FlaskClient] = []


def _application(folders: pytest.TempPathFactory) -> FlaskClient:
    if not _clients:
        from decision.wiring import Home

        home = Home(folders.mktemp("hypothesis"))
        home.programme_path.write_text(support.PROGRAMME)
        _clients.append(create_app(Shop(home)).test_client())
    return _clients[0]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, secret in SECRETS.items():
        monkeypatch.setenv(f"ENCORE_{platform.upper()}_SECRET", secret)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-01-01T00:00:00Z"])
def test_a_time_that_no_calendar_has_goes_into_the_inbox(client: FlaskClient, shop: Shop, moment: str) -> None:
    for name in ("updated_at", "processed_at", "cancelled_at"):
        assert post(client, "shopify", shopify("orders/updated", shopify_order(**{name: moment}))) == 200
    sent_then = shopify("orders/updated", shopify_order(9), X_Shopify_Triggered_At=moment)
    assert post(client, "shopify", sent_then) == 200
    assert len(shop.ledger.inbox()) == 4 - (moment > "2000"), "a header that lies ahead makes nothing old"
