"""What is known at decision time, by name, and the vector computed from it."""

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.errors import InvalidInput
from decision.programme.model import FACTS
from decision.records import Consent, ContextValue, Customer, DecisionRequest
from decision.stages.context import Column, Encoder, build, check_features
from decision.stages.guardrails import reach_of
from tests.support import DAY, NOW, asked, micros, order, programme


def built(request: DecisionRequest, customer: Customer) -> dict[str, ContextValue]:
    shop = programme()
    return build(request, customer, reach_of(shop, request, customer, now=NOW), programme=shop, now=NOW)


def test_the_context_holds_request_history_and_features() -> None:
    customer = Customer(
        "c-1",
        orders=3,
        returns=1,
        revenue_micros=micros(120.5),
        last_order_at=NOW - timedelta(hours=36),
        consent={"sms": Consent(False, NOW - DAY)},
        contacts=(NOW - DAY, NOW - 30 * DAY),
    )
    request = asked(store="hamburg", order=order(total=60.0, discount_micros=micros(5.0), item_count=2))
    assert built(request, customer) == {
        "trigger": "purchase",
        "store": "hamburg",
        "region": "north",
        "order_total": 60.0,
        "order_discount": 5.0,
        "order_items": 2.0,
        "customer_orders": 3.0,
        "customer_returns": 1.0,
        "customer_revenue": 120.5,
        "days_since_last_order": 1.5,
        "recent_contacts": 1.0,
        "consent.on_page": 1.0,
        "consent.email": 1.0,
        "consent.sms": 0.0,
        "age": None,
        "tier": None,
    }


def test_no_feature_may_take_the_name_of_a_fact() -> None:
    context = built(asked(), Customer("c-1"))
    consents = ("consent.on_page", "consent.email", "consent.sms")
    assert tuple(context) == (*FACTS, *consents, "age", "tier")


def test_an_order_that_arrived_from_the_future_is_no_negative_time() -> None:
    customer = Customer("c-1", last_order_at=NOW + timedelta(minutes=5))
    assert built(asked(), customer)["days_since_last_order"] == 0.0


def test_features_are_of_their_declared_type() -> None:
    known = programme().features
    assert check_features({"age": 30, "tier": "gold"}, known) == {"age": 30.0, "tier": "gold"}
    assert check_features({"age": None, "tier": None}, known) == {"age": None, "tier": None}


@pytest.mark.parametrize(
    ("features", "pointer", "sentence"),
    [
        ({"aeg": 1}, "$.features.aeg", "unknown feature 'aeg'; did you mean 'age'"),
        ({"age": "30"}, "$.features.age", "a finite number"),
        ({"age": True}, "$.features.age", "a finite number"),
        ({"age": math.nan}, "$.features.age", "a finite number"),
        ({"age": math.inf}, "$.features.age", "a finite number"),
        ({"tier": 1.0}, "$.features.tier", "a text"),
        ({"tier": "x" * 201}, "$.features.tier", "at most 200"),
    ],
)
def test_a_wrong_feature_is_refused_with_its_place(features: dict[str, object], pointer: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        check_features(features, programme().features)
    assert caught.value.pointer == pointer


def test_columns_by_hand() -> None:
    encoder = Encoder(
        (
            Column("total", centre=60.0, scale=30.0),
            Column("orders", log=True),
            Column("tier", levels=("gold", "silver")),
            Column("age", centre=40.0, scale=10.0, missing=True),
        )
    )
    assert encoder.labels == ("total", "orders", "tier=gold", "tier=silver", "age", "age is missing")
    assert encoder.width == 6
    known = encoder.encode({"total": 90.0, "orders": math.e - 1, "tier": "silver", "age": 30.0})
    np.testing.assert_allclose(known, [1.0, 1.0, 0.0, 1.0, -1.0, 0.0], rtol=1e-15)
    # An absent number is average, an unknown level none of those that are known.
    np.testing.assert_array_equal(encoder.encode({"tier": "bronze"}), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(encoder.encode({"total": "much", "tier": 3.0}), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def test_a_negative_number_is_zero_before_a_logarithm() -> None:
    assert Encoder((Column("orders", log=True),)).encode({"orders": -5.0}) == [0.0]


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_whatever_a_caller_sends_its_square_is_finite(value: float, log: bool) -> None:
    vector = Encoder((Column("age", centre=40.0, scale=0.01, log=log),)).encode({"age": value})
    assert np.isfinite(vector @ vector)
