"""Events are taken one by one; what can't be used comes back with its reason."""

from typing import Any

from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.observe import observe
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from tests.support import DAY, NOW


def event(name: str = "Order Completed", **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "customer_id": "c-1",
        "timestamp": NOW,
        "properties": {"order_id": "o-2", "revenue": "50.00"},
    }
    return Event(event=name, **(fields | changes))


def test_what_can_be_used_is_taken_and_the_rest_comes_back(programme: Programme, ledger: SqliteLedger) -> None:
    events = [
        event(),
        event("Order Complete"),
        event(),  # the same again
        InvalidInput("had no shape", pointer="$[3]"),
        event(timestamp=NOW + 2 * DAY),
        event(customer_id="c-2"),
    ]
    receipt = observe(events, programme=programme, ledger=ledger, now=NOW)
    assert (receipt.accepted, receipt.duplicates) == (2, 1)
    assert [(place, error.pointer) for place, error in receipt.rejected] == [
        (1, "$[1].event"),
        (3, "$[3]"),
        (4, "$[4].timestamp"),
    ]
    assert ledger.counts()["outcomes"] == 2
    assert ledger.customer("c-1").orders == 1


def test_a_repeat_is_harmless_with_and_without_message_id(programme: Programme, ledger: SqliteLedger) -> None:
    for one in (event(), event(message_id="m-1")):
        first = observe([one], programme=programme, ledger=ledger, now=NOW)
        again = observe([one, one], programme=programme, ledger=ledger, now=NOW + DAY)
        assert (first.accepted, first.duplicates, again.accepted, again.duplicates) == (1, 0, 0, 2)
    assert ledger.customer("c-1").orders == 1, "both speak of the same order"


def test_nothing_is_nothing(programme: Programme, ledger: SqliteLedger) -> None:
    receipt = observe([], programme=programme, ledger=ledger, now=NOW)
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (0, 0, ())


def test_outcomes_keep_what_came(programme: Programme, ledger: SqliteLedger) -> None:
    observe([event(properties={"order_id": "o", "total": 9.5, "x": {"y": [1, None]}})], programme=programme,
            ledger=ledger, now=NOW)  # fmt: skip
    (kept,) = ledger.outcomes_of("c-1", start=NOW - DAY, end=NOW)
    assert kept.properties == {
        "order_id": "o",
        "total_micros": 9_500_000,
        "revenue_micros": 9_500_000,
        "x": {"y": [1, None]},
    }
    assert kept.occurred_at == NOW
