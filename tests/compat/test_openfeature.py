"""OpenFeature's own client and its OFREP provider, pointed at a real server."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from decision.api.compat.ofrep import FLAGS, question_in
from decision.errors import InvalidInput
from decision.ledger.sqlite import SqliteLedger
from decision.records import Group
from decision.stages.keys import Role
from decision.wiring import Home, Shop
from tests import support
from tests.api.test_real_server import Server, serving

PAGE = Path(__file__).parents[2] / "docs" / "openfeature.md"
FLAGS_AT = "/ofrep/v1/evaluate/flags"
BUDGET = "\n[budgets.all]\ncount = 1000\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("openfeature"))
    home.programme_path.write_text(support.PROGRAMME + BUDGET)
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with serving(home) as server:
        yield server


@pytest.fixture(scope="module")
def ledger(home: Home, server: Server) -> Iterator[SqliteLedger]:
    ledger = home.ledger()
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[OpenFeatureClient]:
    key = {"Authorization": f"Bearer {server.key}"}
    api.set_provider(OFREPProvider(f"http://127.0.0.1:{server.port}", headers_factory=lambda: key))
    yield api.get_client()
    api.clear_providers()


def context(customer: str, order_id: str = "o-1", **attributes: Any) -> EvaluationContext:
    order = {"order_id": order_id, "total": {"amount": "59.90", "currency": "EUR"}}
    return EvaluationContext(customer, {"order": order, "consent": {"email": True, "sms": True}} | attributes)


def of_group(home: Home, group: Group, place: int = 0) -> str:
    return support.customer_of(group, home.programme(), place)


def test_three_flags_show_one_decision(client: OpenFeatureClient, home: Home, ledger: SqliteLedger) -> None:
    customer = of_group(home, Group.BUSINESS_AS_USUAL)
    asked = context(customer, age=41.0, tier="gold", browser={"name": "of no interest"})
    action = client.get_string_details("encore.action", "-", asked)
    there = client.get_boolean_details("encore.incentive", False, asked)
    offer = client.get_object_details("encore.offer", {}, asked)
    assert (action.value, there.value, offer.value["action_id"]) == ("discount@on_page", True, "discount@on_page")
    assert {one.variant for one in (action, there, offer)} == {"discount@on_page"}
    assert {one.reason for one in (action, there, offer)} == {Reason.SPLIT}
    (decision_id,) = {one.flag_metadata["decision_id"] for one in (action, there, offer)}
    decision = ledger.decision(decision_id)
    assert decision is not None
    assert (decision.customer_id, decision.propensity) == (customer, action.flag_metadata["propensity"])
    assert (decision.context["age"], decision.context["tier"]) == (41.0, "gold")
    assert offer.value["coupon"] == action.flag_metadata["coupon"] == decision.coupon


def test_evaluating_again_takes_no_second_budget(client: OpenFeatureClient, home: Home, ledger: SqliteLedger) -> None:
    customer = of_group(home, Group.BUSINESS_AS_USUAL, 1)
    before = ledger.used(["all|programme"])
    first = client.get_string_details("encore.action", "-", context(customer))
    for changed in ({}, {"age": 3.0}, {"store": "hamburg"}, {"consent": {}}):
        again = client.get_string_details("encore.action", "-", context(customer, **changed))
        assert again.flag_metadata == first.flag_metadata
    used = ledger.used(["all|programme"])["all|programme"].count
    assert used - (before["all|programme"].count if before else 0) == 1
    other = client.get_string_details("encore.action", "-", context(customer, "o-2"))
    back = client.get_string_details("encore.action", "-", context(customer, trigger="return"))
    named = client.get_string_details("encore.action", "-", context(customer, decision_id="by-name"))
    ids = [one.flag_metadata["decision_id"] for one in (first, other, back, named)]
    assert len(set(ids)) == 4
    assert ids[-1] == "by-name"


def test_a_decision_id_is_not_another_customers(client: OpenFeatureClient) -> None:
    client.get_string_details("encore.action", "-", context("one", decision_id="taken"))
    refused = client.get_string_details("encore.action", "mine", context("other", decision_id="taken"))
    assert (refused.value, refused.error_code) == ("mine", ErrorCode.INVALID_CONTEXT)


def test_the_holdout_gets_control_by_split(client: OpenFeatureClient, home: Home) -> None:
    asked = context(of_group(home, Group.HOLDOUT))
    assert client.get_boolean_details("encore.incentive", True, asked).value is False
    found = client.get_string_details("encore.action", "-", asked)
    assert (found.value, found.variant, found.reason) == ("control", "control", Reason.SPLIT)
    assert found.flag_metadata["code"] == "holdout"
    assert found.flag_metadata["propensity"] == 1.0


@pytest.mark.parametrize(
    ("flag", "asked", "code"),
    [
        ("encore.acton", context("c"), ErrorCode.FLAG_NOT_FOUND),
        ("encore.action", EvaluationContext(None, context("c").attributes), ErrorCode.TARGETING_KEY_MISSING),
        ("encore.action", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
        ("encore.action", EvaluationContext("c"), ErrorCode.INVALID_CONTEXT),
        ("encore.action", context("c", store="nowhere"), ErrorCode.INVALID_CONTEXT),
        ("encore.action", context("c", age="old"), ErrorCode.INVALID_CONTEXT),
        ("encore.action", context("c", trigger="birthday"), ErrorCode.INVALID_CONTEXT),
        ("encore.offer", context("c" * 201), ErrorCode.TARGETING_KEY_MISSING),
    ],
)
def test_a_mistake_gives_the_default_and_says_why(
    client: OpenFeatureClient, flag: str, asked: EvaluationContext, code: ErrorCode
) -> None:
    found = client.get_string_details(flag, "control", asked)
    assert (found.value, found.reason, found.error_code) == ("control", Reason.ERROR, code)
    assert "xpected" in (found.error_message or "") or "unknown" in (found.error_message or "")


def test_a_flag_of_another_type_is_a_mismatch(client: OpenFeatureClient) -> None:
    assert client.get_boolean_details("encore.action", True, context("c")).error_code is ErrorCode.TYPE_MISMATCH


def test_a_wrong_key_gives_the_default(server: Server) -> None:
    domain = "stranger"
    api.set_provider(OFREPProvider(f"http://127.0.0.1:{server.port}"), domain)
    found = api.get_client(domain).get_string_details("encore.action", "control", context("c"))
    assert (found.value, found.error_code, found.error_message) == ("control", ErrorCode.GENERAL, "unauthorized")


def posted(server: Server, path: str, body: bytes, **headers: str) -> tuple[int, Any, str | None]:
    named = server.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(f"http://127.0.0.1:{server.port}{path}", body, named), timeout=20) as response:
            return response.status, json.load(response), response.headers["ETag"]
    except HTTPError as error:
        with error:
            text = error.read()
            return error.code, json.loads(text) if text else None, error.headers["ETag"]


def test_a_body_that_is_no_json(server: Server) -> None:
    status, found, _ = posted(server, f"{FLAGS_AT}/encore.action", b"{")
    assert (status, found["errorCode"], found["key"]) == (400, "PARSE_ERROR", "encore.action")


def test_all_flags_at_once_and_nothing_new(server: Server) -> None:
    asked = context("bulk")
    body = json.dumps({"context": {"targetingKey": "bulk"} | asked.attributes}).encode()
    status, found, etag = posted(server, FLAGS_AT, body)
    assert (status, [flag["key"] for flag in found["flags"]]) == (200, list(FLAGS))
    assert posted(server, FLAGS_AT, body, If_None_Match=etag or "") == (304, None, etag)
    status, found, _ = posted(server, FLAGS_AT, b"{}")
    assert (status, found["errorCode"], found.get("key")) == (400, "TARGETING_KEY_MISSING", None)


def test_a_fault_is_control_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.programme_path.write_text(support.PROGRAMME)
    shop = Shop(home)
    till: FlaskClient = support.client_of(shop, Role.CHECKOUT)

    def broken(*_: object) -> None:
        raise OSError("disk on fire")

    monkeypatch.setattr(type(shop.ledger), "decision", broken)
    found = till.post(f"{FLAGS_AT}/encore.action", json={"context": {"targetingKey": "c"} | context("c").attributes})
    answer = found.get_json()
    assert (found.status_code, answer["value"], answer["reason"]) == (200, "control", "DEFAULT")
    assert (answer["metadata"]["code"], answer["metadata"]["recorded"]) == ("fault", False)
    assert shop.faults == {"OSError": 1}


def test_the_page_works_as_written(server: Server, ledger: SqliteLedger) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    here = code.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}").replace("encore_…", server.key)
    found: dict[str, Any] = {}
    exec(here, found)
    assert ledger.customer("C-1001").version > 0
    assert found["client"].get_string_details("encore.action", "-", found["context"]).value == found["action"] != "-"
    assert ("offer" in found) == (found["action"] != "control")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
attributes = st.sampled_from(
    "targetingKey trigger order store candidates consent features decision_id age tier".split()
)
likely = st.sampled_from(["c-1", "purchase", "hamburg", context("c").attributes["order"], {"offers": ["thanks"]}])
contexts = st.dictionaries(attributes, likely | anything, max_size=8) | anything


@given(found=st.dictionaries(attributes, likely | anything, max_size=10))
def test_a_context_is_a_question_or_a_mistake_with_a_place(found: dict[str, Any]) -> None:
    mistake: InvalidInput | None = None
    try:
        question = question_in(found, features=("age", "tier"))
    except InvalidInput as error:
        mistake = error
    if mistake is None:
        assert question.customer_id == found["targetingKey"]
    else:
        assert mistake.pointer.startswith("$.context")


@given(asked=contexts, flag=st.sampled_from(list(FLAGS)) | st.text("abc", min_size=1, max_size=6))
def test_whatever_is_asked_is_answered(server: Server, asked: Any, flag: str) -> None:
    status, found, _ = posted(server, f"{FLAGS_AT}/{quote(flag, safe='')}", json.dumps({"context": asked}).encode())
    assert status in (200, 400, 404), found
    assert ("value" in found) == (status == 200)


def test_an_order_that_is_evaluated_many_times_at_once_is_decided_once(
    client: OpenFeatureClient, home: Home, ledger: SqliteLedger
) -> None:
    asked = context(of_group(home, Group.BUSINESS_AS_USUAL, 2))
    before = ledger.counts()["decisions"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: client.get_string_details("encore.action", str(n), asked), range(40)))
    assert len({one.flag_metadata["decision_id"] for one in found}) == 1
    assert ledger.counts()["decisions"] == before + 1
