"""`POST` and `GET /v1/decisions` as the checkout sees them."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from decision.api.app import create_app
from decision.errors import LedgerError
from decision.flow.promotion import promote
from decision.flow.sweep import sweep
from decision.locks import FileLock
from decision.records import CONTROL, Group
from decision.wiring import Home, Shop
from tests import support
from tests.api.conftest import Clock
from tests.support import DAY, NOW, PROGRAMME, SECOND, client_of, key_in, with_key

USUAL = support.customer_of(Group.BUSINESS_AS_USUAL, support.programme())


def question(**changes: Any) -> dict[str, Any]:
    blank: dict[str, Any] = {
        "customer_id": USUAL,
        "trigger": "purchase",
        "order": {"order_id": "o-1", "total": {"amount": "59.90", "currency": "EUR"}},
    }
    return blank | changes


def ask(client: FlaskClient, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    response = client.post("/v1/decisions", json=question(**changes), headers=headers)
    assert response.status_code == 200, response.text
    assert response.mimetype == "application/json"
    return response.get_json()  # type: ignore[no-any-return]


@pytest.fixture
def promoted(shop: Shop) -> Shop:
    bundle = support.write_bundle(shop.home.bundles)
    programme, ledger = shop.serving.programme, shop.ledger
    promote(
        bundle.version, programme=programme, bundles=shop.home.bundles, ledger=ledger, reason="", verdict=(), now=NOW
    )
    shop.refresh()
    return shop


def test_an_answer_in_full(client: FlaskClient) -> None:
    """A golden: fields are added to it, never renamed or removed."""
    answer = ask(client, decision_id="d-1", store="hamburg", consent={"email": True})
    assert answer == {
        "decision_id": "d-1",
        "action": {
            "action_id": "discount@on_page",
            "offer": "discount",
            "channel": "on_page",
            "kind": "percent_discount",
            "terms": {"percent": 10.0},
            "coupon": "ENNY5BAWA4LI",
        },
        "propensity": 1.0,
        "group": "business_as_usual",
        "policy_version": "business_as_usual",
        "decided_at": "2026-03-04T12:00:00Z",
        "expires_at": "2026-04-01T12:00:00Z",
        "reasons": [{"code": "business_as_usual", "detail": "the shop's own rule"}],
        "rejected": [{"action_id": "discount@sms", "code": "no_consent", "detail": "no consent for sms"}],
        "repurchase_odds": {"with_offer": None, "without_offer": None},
        "recorded": True,
    }


def test_control_is_a_normal_answer(client: FlaskClient) -> None:
    holdout = support.customer_of(Group.HOLDOUT, support.programme())
    answer = ask(client, customer_id=holdout)
    assert answer["action"] == {
        "action_id": "control", "offer": "none", "channel": "control", "kind": "none", "terms": {}, "coupon": None,
    }  # fmt: skip
    assert (answer["propensity"], answer["group"], answer["expires_at"]) == (1.0, "holdout", None)
    assert (answer["rejected"], answer["recorded"]) == ([], True)


def test_without_an_id_each_question_is_a_new_one(client: FlaskClient, clock: Clock) -> None:
    first = ask(client)["decision_id"]
    clock.now += DAY
    second = ask(client)["decision_id"]
    assert first < second, "ids sort by time"


@pytest.mark.parametrize("header", ["k-1", '"k-1"', " k-1 "])
def test_a_key_makes_a_retry_safe_quoted_or_bare(client: FlaskClient, shop: Shop, clock: Clock, header: str) -> None:
    first = ask(client, {"Idempotency-Key": "k-1"})
    clock.now += DAY
    assert ask(client, {"Idempotency-Key": header}) == first
    assert shop.ledger.counts()["decisions"] == 1


def test_a_decision_id_makes_a_retry_safe(client: FlaskClient, shop: Shop, clock: Clock) -> None:
    first = ask(client, decision_id="d-1")
    clock.now += DAY
    assert ask(client, decision_id="d-1") == first
    assert ask(client, decision_id="d-2") != first
    assert shop.ledger.counts()["decisions"] == 2


EDITS = [
    {"percent = 10": "percent = 5"},
    {"percent = 10": 'percent = 10\nmin_basket = "80"'},
    {'kind = "percent_discount"\npercent = 10': 'kind = "points_multiplier"\nmultiplier = 2'},
    {"[offers.discount]": "[offers.other]", "discount@on_page": "other@on_page"},
    {'[features.tier]\ntype = "category"': "", "[features.age]": "[features.years]"},
    {"[stores.hamburg]": "[stores.berlin]"},
    {"[channels.sms]": "[channels.letter]", '"sms"': '"letter"'},
    {'currency = "EUR"': 'currency = "CHF"'},
]


@pytest.mark.parametrize("edit", EDITS)
def test_a_retry_is_answered_as_before_whatever_the_programme_says_by_then(
    client: FlaskClient, shop: Shop, home: Home, edit: dict[str, str]
) -> None:
    facts: dict[str, Any] = {"store": "hamburg", "features": {"tier": "gold", "age": 40}, "consent": {"sms": True}}
    first = ask(client, {"Idempotency-Key": "k"}, **facts)
    assert first["action"]["terms"] == {"percent": 10.0}
    text = PROGRAMME
    for old, new in edit.items():
        assert old in text
        text = text.replace(old, new, 1)
    home.programme_path.write_text(text)
    before = shop.serving.programme.digest
    shop.refresh()
    assert shop.serving.programme.digest != before
    assert ask(client, {"Idempotency-Key": "k"}, **facts) == first
    found = client.get(f"/v1/decisions/{first['decision_id']}").get_json()
    assert {name: found[name] for name in first} == first
    other = client.post("/v1/decisions", json=question(**facts, customer_id="c"), headers={"Idempotency-Key": "k"})
    assert other.get_json()["type"] == "urn:encore:problem:idempotency-mismatch"


def test_fifty_retries_at_once_are_one_decision(shop: Shop) -> None:
    app, key = create_app(shop), key_in(shop.ledger)
    shop.refresh()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(with_key(app.test_client(), key), {"Idempotency-Key": "k"}), range(50)))
    assert answers == [answers[0]] * 50
    assert shop.ledger.counts()["decisions"] == 1


def numbers(value: Any, path: str = "$") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in numbers(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for n, inner in enumerate(value) for found in numbers(inner, f"{path}[{n}]")]
    return [(path, value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_money_is_never_a_float(client: FlaskClient, shop: Shop, home: Home) -> None:
    home.programme_path.write_text(PROGRAMME.replace("percent = 10\n", 'percent = 10\nmin_basket = "20.50"\n'))
    shop.refresh()
    answer = ask(client, decision_id="d-1")
    assert answer["action"]["terms"]["min_basket"] == {"amount": "20.50", "currency": "EUR"}
    assert [path for path, _ in numbers(answer)] == ["$.action.terms.percent", "$.propensity"]
    shop.ledger.record_outcomes([support.bought(NOW + DAY, revenue=49.99, customer_id=USUAL)], now=NOW)
    sweep(programme=shop.serving.programme, ledger=shop.ledger, now=NOW + 2 * DAY)
    reward = client.get("/v1/decisions/d-1").get_json()["reward"]
    assert {k: reward[k] for k in ("revenue", "margin", "cost", "value")} == {
        "revenue": "49.99",
        "margin": "20.00",
        "cost": "0.00",
        "value": "20.00",
    }
    assert numbers(reward) == []


@pytest.mark.parametrize("amount", ["59.90", 59.9, "59.900000", 60, "0", 0, "5.99e1"])
def test_amounts_come_as_text_or_number(client: FlaskClient, shop: Shop, amount: Any) -> None:
    order = {"order_id": "o", "total": {"amount": amount, "currency": "EUR"}}
    ask(client, decision_id="d-1", order=order)
    found = shop.ledger.decision("d-1")
    assert found is not None
    assert found.context["order_total"] == float(amount)


def test_a_past_decision_in_full(client: FlaskClient, promoted: Shop) -> None:
    customer = support.customer_of(Group.POLICY, support.programme())
    features = {"age": 70, "tier": "gold"}
    asked = ask(client, decision_id="d-1", customer_id=customer, features=features, store="hamburg")
    found = client.get("/v1/decisions/d-1").get_json()
    assert {key: found[key] for key in asked} == asked
    assert (found["customer_id"], found["trigger"], found["store"], found["order_id"]) == (
        customer, "purchase", "hamburg", "o-1",
    )  # fmt: skip
    assert [chance["action_id"] for chance in found["distribution"]] == [CONTROL, "discount@on_page"]
    assert sum(chance["probability"] for chance in found["distribution"]) == pytest.approx(1.0)
    chosen = next(c for c in found["distribution"] if c["action_id"] == asked["action"]["action_id"])
    assert chosen["probability"] == asked["propensity"]
    assert chosen["repurchase"] == asked["repurchase_odds"]["with_offer"]
    assert found["context"]["age"] == 70.0
    assert found["context"]["region"] == "north"
    assert {"age", "order_total"} & {c["feature"] for c in found["contributions"]}
    assert found["reward"] is None
    assert asked["policy_version"].endswith("+0")


def test_a_reward_is_shown_as_soon_as_it_is_known(client: FlaskClient, shop: Shop) -> None:
    coupon = ask(client, decision_id="d-1")["action"]["coupon"]
    shop.ledger.record_outcomes([support.bought(NOW + DAY, customer_id=USUAL, coupon=coupon)], now=NOW)
    sweep(programme=shop.serving.programme, ledger=shop.ledger, now=NOW + 2 * DAY)
    assert client.get("/v1/decisions/d-1").get_json()["reward"] == {
        "status": "provisional",
        "visited": True,
        "repurchased": True,
        "redeemed": True,
        "revenue": "50.00",
        "margin": "20.00",
        "cost": "5.00",
        "value": "15.00",
    }


def test_an_unknown_decision_is_not_found(client: FlaskClient) -> None:
    response = client.get("/v1/decisions/d-9")
    assert (response.status_code, response.get_json()["type"]) == (404, "urn:encore:problem:not-found")


def test_a_past_decision_outlives_its_offer_and_store(client: FlaskClient, promoted: Shop, home: Home) -> None:
    people = [support.customer_of(group, support.programme()) for group in Group]
    for n, customer in enumerate(people):
        ask(client, decision_id=f"d-{n}", customer_id=customer, store="hamburg")
    text = PROGRAMME.replace("[offers.discount]", "[offers.other]").replace("discount@on_page", "other@on_page")
    home.programme_path.write_text(text.replace("[stores.hamburg]", "[stores.berlin]"))
    promoted.refresh()
    assert "other" in promoted.serving.programme.offers
    for n in range(len(people)):
        found = client.get(f"/v1/decisions/d-{n}")
        assert found.status_code == 200
        assert found.get_json()["store"] == "hamburg"


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("method", ["customer", "used", "record_decision"])
@pytest.mark.parametrize("error", [LedgerError("the disk is gone"), OSError(28, "No space left"), RuntimeError("?")])
def test_a_fault_answers_control_and_is_counted(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    monkeypatch.setattr(shop.ledger, method, failing(error))
    answer = ask(client, decision_id="d-1")
    assert answer == {
        "decision_id": "d-1",
        "action": {
            "action_id": "control", "offer": "none", "channel": "control", "kind": "none", "terms": {}, "coupon": None,
        },
        "propensity": 1.0,
        "group": None,
        "policy_version": "fallback",
        "decided_at": "2026-03-04T12:00:00Z",
        "expires_at": None,
        "reasons": [{"code": "fault", "detail": "Encore could not decide; nothing was written or promised"}],
        "rejected": [],
        "repurchase_odds": {"with_offer": None, "without_offer": None},
        "recorded": False,
    }  # fmt: skip
    assert shop.faults == {type(error).__name__: 1}
    monkeypatch.undo()
    assert shop.ledger.decision("d-1") is None
    assert client.get("/readyz").get_json()["faults"] == {type(error).__name__: 1}


def test_a_message_without_incentive_has_no_coupon(home: Home, clock: Clock) -> None:
    home.programme_path.write_text(PROGRAMME.replace('"discount@on_page"', '"thanks@email"'))
    client = client_of(Shop(home))
    answer = ask(client, decision_id="d-1", consent={"email": True})
    assert (answer["action"]["action_id"], answer["action"]["kind"]) == ("thanks@email", "none")
    assert answer["action"]["coupon"] is None


def test_a_rule_that_cannot_be_evaluated_is_counted(home: Home, clock: Clock) -> None:
    home.programme_path.write_text(PROGRAMME + "[eligibility]\nrules = ['features.age > 17']\n")
    client = client_of(Shop(home))
    assert ask(client, decision_id="d-1")["reasons"][0]["code"] == "rule_failed"
    clock.now += SECOND
    assert ask(client, decision_id="d-1")["action"]["action_id"] == "control"
    assert ask(client, decision_id="d-2", features={"age": 3})["reasons"][0]["code"] == "rule_not_met"
    assert client.get("/readyz").get_json()["faults"] == {"rule_failed": 1}, "a retry is not another one"


def test_the_till_does_not_wait_for_a_writer_that_was_stopped(client: FlaskClient, shop: Shop) -> None:
    stopped = FileLock(shop.home.ledger_path.with_name("ledger.db.lock"))
    assert stopped.acquire(patience=0.0)
    began = time.monotonic()
    answer = ask(client, decision_id="d-1")
    assert (answer["reasons"][0]["code"], answer["recorded"]) == ("deadline", False)
    assert time.monotonic() - began < 4.0
    stopped.release()
    assert ask(client, decision_id="d-1")["recorded"]


def test_after_a_fault_the_same_id_is_decided(client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(shop.ledger, "record_decision", failing(LedgerError("gone")))
        assert not ask(client, decision_id="d-1")["recorded"]
    again = ask(client, decision_id="d-1")
    assert (again["recorded"], again["action"]["action_id"]) == (True, "discount@on_page")


def test_reading_a_broken_ledger_is_a_problem_of_ours(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop.ledger, "decision", failing(LedgerError("gone", hint="Look.")))
    response = client.get("/v1/decisions/d-1")
    assert (response.status_code, response.get_json()["type"]) == (503, "urn:encore:problem:ledger-unavailable")
    monkeypatch.setattr(shop.ledger, "cursor", failing(LedgerError("gone")))
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == 200


def test_what_serves_now(client: FlaskClient, promoted: Shop) -> None:
    found = client.get("/v1/policy").get_json()
    assert found["policy"] == "thompson"
    assert found["policy_version"] == promoted.serving.version
    assert found["actions"] == list(support.ACTIONS)
    assert found["provenance"]["learner"] == "by hand"
    assert json.dumps(found["simulated"]) == "false"
