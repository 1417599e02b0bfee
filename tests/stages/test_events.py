"""Events are read once at the door; what they say of an order or of consent does not depend on when they arrive."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.observe import outcome_of
from decision.records import Consent, Customer, Outcome
from decision.stages.events import KnownOrder, read_properties, with_word
from tests.support import DAY, NOW, SECOND, bought, micros, outcome, programme, refunded

EAST, WEST = timezone(timedelta(hours=1)), timezone(-timedelta(hours=1))


def read(name: str, **properties: Any) -> dict[str, Any]:
    return read_properties(name, properties, currency="EUR", pointer="$")


def test_money_is_kept_in_micros() -> None:
    found = read("Order Completed", order_id="o", revenue="42.10", discount=2, margin="-1.5", currency="EUR", extra=[1])
    assert found == {
        "order_id": "o",
        "revenue_micros": 42_100_000,
        "discount_micros": 2_000_000,
        "margin_micros": -1_500_000,
        "currency": "EUR",
        "extra": [1],
    }


def test_total_stands_in_for_revenue() -> None:
    assert read("Order Completed", order_id="o", total=9.99)["revenue_micros"] == 9_990_000
    assert read("Order Completed", order_id="o", total=9.99, revenue=8)["revenue_micros"] == 8_000_000


def test_a_caller_cannot_speak_in_micros_herself() -> None:
    assert "revenue_micros" not in read("Order Refunded", order_id="o", revenue_micros="7")
    with pytest.raises(InvalidInput, match=r"revenue or \.total"):
        read("Order Completed", order_id="o", revenue_micros=7)


@pytest.mark.parametrize(
    ("name", "properties", "pointer", "sentence"),
    [
        ("Order Complete", {}, "$.event", "did you mean 'Order Completed'"),
        ("Order Completed", {"revenue": 1}, "$.properties.order_id", "a text"),
        ("Order Refunded", {"order_id": 17}, "$.properties.order_id", "found 17"),
        ("Order Cancelled", {"order_id": None}, "$.properties.order_id", "found nothing"),
        ("Order Completed", {"order_id": "o"}, "$.properties.revenue", "found neither"),
        ("Order Completed", {"order_id": "o", "revenue": "x"}, "$.properties.revenue", "an amount"),
        ("Order Completed", {"order_id": "o", "revenue": "-1"}, "$.properties.revenue", "at least 0"),
        ("Order Completed", {"order_id": "o", "revenue": "NaN"}, "$.properties.revenue", "finite"),
        ("Order Completed", {"order_id": "o", "revenue": "Infinity"}, "$.properties.revenue", "finite"),
        ("Order Completed", {"order_id": "o", "revenue": 1e300}, "$.properties.revenue", "at most"),
        ("Order Completed", {"order_id": "o", "revenue": 10**400}, "$.properties.revenue", "at most"),
        ("Order Completed", {"order_id": "o", "revenue": "1.0000001"}, "$.properties.revenue", "six decimals"),
        ("Order Completed", {"order_id": "o", "revenue": True}, "$.properties.revenue", "an amount"),
        ("Order Completed", {"order_id": "o", "revenue": [1]}, "$.properties.revenue", "an amount"),
        ("Order Completed", {"order_id": "o", "revenue": 1, "currency": "USD"}, "$.properties.currency", "EUR"),
        ("Order Refunded", {"order_id": "o", "total": -5}, "$.properties.total", "at least 0"),
    ],
)
def test_an_event_that_cannot_be_used_says_where(
    name: str, properties: dict[str, Any], pointer: str, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        read(name, **properties)
    assert caught.value.pointer == pointer


def event(name: str = "Page Viewed", **changes: Any) -> Event:
    fields: dict[str, Any] = {"customer_id": "c-1", "timestamp": NOW, "properties": {}}
    return Event(event=name, **(fields | changes))


def seen(one: Event) -> Outcome:
    return outcome_of(one, programme=programme(), now=NOW)


@pytest.mark.parametrize(
    ("one", "pointer", "sentence"),
    [
        (event(customer_id=""), "$.customer_id", "1 to 200"),
        (event(customer_id="c" * 201), "$.customer_id", "1 to 200"),
        (event(timestamp=NOW.replace(tzinfo=None)), "$.timestamp", "with its offset"),
        (event(timestamp=NOW + DAY + SECOND), "$.timestamp", "at most a day in the future"),
        (event(timestamp=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)), "$.timestamp", "after 1970"),
        (event(timestamp=datetime.min.replace(tzinfo=EAST)), "$.timestamp", "after 1970"),
        (event(timestamp=datetime.max.replace(tzinfo=WEST)), "$.timestamp", "at most a day in the future"),
        (event("Unsubscribed", properties={"channel": "e-mail"}), "$.properties.channel", "did you mean 'email'"),
        (event("Subscribed", properties={"channel": 5}), "$.properties.channel", "unknown channel '5'"),
    ],
)
def test_an_event_that_cannot_be_true_says_where(one: Event, pointer: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        seen(one)
    assert caught.value.pointer == pointer


def test_times_are_kept_in_utc() -> None:
    found = seen(event(timestamp=NOW.astimezone(EAST))).occurred_at
    assert (found, found.tzinfo) == (NOW, UTC)


def test_a_clock_that_is_a_day_fast_is_forgiven() -> None:
    assert seen(event(timestamp=NOW + DAY)).occurred_at == NOW + DAY


def test_without_a_message_id_the_content_is_the_id() -> None:
    one = event(properties={"a": 1, "b": 2})
    assert seen(one).message_id == seen(event(properties={"b": 2, "a": 1})).message_id
    assert seen(one).message_id != seen(event(properties={"a": 1, "b": 3})).message_id
    assert seen(event(message_id="m-1")).message_id == "m-1"


def known(outcomes: list[Outcome]) -> KnownOrder:
    order = KnownOrder()
    for one in outcomes:
        order = order.after(one)
    return order


def cancelled(at: datetime) -> Outcome:
    return outcome("Order Cancelled", at, order_id="o-2")


COUNTED = [
    ([], (0, 0, 0.0)),
    ([bought(NOW)], (1, 0, 50.0)),
    ([bought(NOW, message_id="m"), bought(NOW, revenue=70.0, message_id="n")], (1, 0, 50.0)),
    ([bought(NOW + DAY), bought(NOW, revenue=70.0)], (1, 0, 70.0)),
    ([bought(NOW), *(refunded(NOW + n * DAY, revenue=5.0) for n in (1, 2, 3))], (1, 1, 35.0)),
    ([bought(NOW), refunded(NOW + DAY)], (1, 1, 0.0)),
    ([bought(NOW), refunded(NOW + DAY, revenue=20.0), refunded(NOW + 2 * DAY)], (1, 1, 0.0)),
    ([bought(NOW), refunded(NOW + DAY, revenue=80.0)], (1, 1, 0.0)),
    ([bought(NOW), cancelled(NOW + DAY)], (0, 0, 0.0)),
    ([bought(NOW), cancelled(NOW + DAY), refunded(NOW + DAY)], (0, 0, 0.0)),
    ([refunded(NOW, revenue=20.0)], (0, 1, -20.0)),
    ([refunded(NOW)], (0, 1, 0.0)),
    ([cancelled(NOW)], (0, 0, 0.0)),
]


@pytest.mark.parametrize(("outcomes", "expected"), COUNTED)
def test_an_order_counts_once_whatever_is_told_of_it(outcomes: list[Outcome], expected: tuple[int, int, float]) -> None:
    for arrived in permutations(outcomes):
        found = known(list(arrived))
        assert (found.orders, found.returns, found.kept_micros) == (*expected[:2], micros(expected[2]))


def spoken(outcomes: list[Outcome]) -> Customer:
    customer = Customer("c-1")
    for one in outcomes:
        customer = with_word(customer, one)
    return customer


def test_her_last_word_on_a_channel_counts_whatever_the_order_of_arrival() -> None:
    words = [
        outcome("Subscribed", NOW, channel="email"),
        outcome("Unsubscribed", NOW + DAY, channel="email"),
        outcome("Subscribed", NOW + DAY, channel="email"),  # on the same instant a refusal wins
        outcome("Unsubscribed", NOW - DAY),
        outcome("Subscribed", NOW),
    ]
    for order in permutations(words):
        found = spoken(list(order))
        assert found.consent == {"email": Consent(False, NOW + DAY), "*": Consent(True, NOW)}
        assert not found.opted_out


some_outcomes = st.lists(
    st.one_of(
        st.builds(
            lambda hours, amount: bought(NOW + timedelta(hours=hours), revenue=amount),
            st.integers(-2, 2),
            st.integers(0, 90),
        ),
        st.builds(
            lambda hours, facts: refunded(NOW + timedelta(hours=hours), **facts),
            st.integers(-2, 2),
            st.sampled_from([{}, {"revenue": 3.0}]),
        ),
        st.builds(lambda hours: cancelled(NOW + timedelta(hours=hours)), st.integers(-2, 2)),
    ),
    max_size=6,
)


@given(some_outcomes, st.randoms(use_true_random=False))
def test_an_order_does_not_depend_on_the_order_of_arrival(outcomes: list[Outcome], shuffler: Any) -> None:
    shuffled = list(outcomes)
    shuffler.shuffle(shuffled)
    assert known(shuffled) == known(outcomes)
