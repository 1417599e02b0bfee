from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from decision.errors import LedgerError
from decision.ledger.sqlite import SqliteLedger
from decision.records import Outcome
from experiments.history.from_ledger import customers_in, history_of_ledger
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History
from tests.support import DAY, NOW, decided

HOUR = timedelta(hours=1)


def event(name: str, n: int, customer_id: str = "ada", **properties: Any) -> Outcome:
    """The n-th event, n hours after the beginning."""
    return Outcome(f"{customer_id}-{n}", name, customer_id, NOW + n * HOUR, properties)


def told(tmp_path: Path, *outcomes: Outcome, decisions: tuple[Any, ...] = ()) -> Path:
    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    for decision in decisions:
        version = ledger.customer(decision.customer_id).version
        ledger.record_decision(decision, (), seen_version=version)
    ledger.record_outcomes(outcomes, now=NOW + 30 * DAY)
    ledger.close()
    return ledger.path


def lines(history: History) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = history.order_lines.to_pylist()
    return rows


SHIRTS = [
    {"product_id": "shirt", "sku": "shirt-m", "category": "tops", "quantity": 1, "price": "20.00"},
    {"product_id": "shirt", "sku": "shirt-l", "category": "tops", "quantity": 1, "price": "20.00"},
    {"product_id": "sock", "variant": "grey", "category": "feet", "quantity": 4, "price": 5},
]


def test_the_money_of_an_order_is_spread_over_its_products_and_adds_up(tmp_path: Path) -> None:
    order = event(
        "Order Completed",
        1,
        order_id="o-1",
        revenue_micros=50_000_001,
        discount_micros=10_000_000,
        margin_micros=-4,
        products=SHIRTS,
        store="hamburg",
        loyalty=True,
    )
    history = history_of_ledger(told(tmp_path, order))
    found = lines(history)
    assert [(r["product"], r["variant"], r["category"], r["quantity"]) for r in found] == [
        ("shirt", "shirt-m", "tops", 1),
        ("shirt", "shirt-l", "tops", 1),
        ("sock", "grey", "feet", 4),
    ]
    assert [r["amount"] for r in found] == [
        pytest.approx(16.666667),
        pytest.approx(16.666667),
        pytest.approx(16.666667),
    ]
    assert sum(round(r["amount"] * 1e6) for r in found) == 50_000_001
    assert sum(round(r["margin"] * 1e6) for r in found) == -4
    assert sum(r["discount"] for r in found) == pytest.approx(10.0)
    assert {r["at"] for r in found} == {NOW + HOUR}
    assert {(r["store"], r["loyalty"], r["is_return"]) for r in found} == {("hamburg", True, False)}
    assert history.order_lines.schema == ORDER_LINES


def test_a_refund_in_full_returns_what_was_bought_for_what_is_left(tmp_path: Path) -> None:
    history = history_of_ledger(
        told(
            tmp_path,
            event("Order Completed", 1, order_id="o-1", revenue_micros=60_000_000, products=SHIRTS),
            event(
                "Order Refunded",
                2,
                order_id="o-1",
                revenue_micros=20_000_000,
                products=[{"product_id": "shirt", "sku": "shirt-l"}],
                return_reason="size",
            ),
            event("Order Refunded", 3, order_id="o-1"),
            event("Order Refunded", 4, order_id="o-1", revenue_micros=20_000_000),
        )
    )
    back = [r for r in lines(history) if r["is_return"]]
    assert [(r["product"], r["variant"], r["category"], r["amount"], r["return_reason"]) for r in back[:1]] == [
        ("shirt", "shirt-l", "tops", -20.0, "size")
    ]
    assert [r["product"] for r in back[1:4]] == ["shirt", "shirt", "sock"]
    assert sum(r["amount"] for r in back) == pytest.approx(-60.0), "no more comes back than was paid"
    assert back[4]["product"] is None or back[4]["amount"] == 0.0


def test_an_order_told_without_products_is_a_line_of_an_unknown_one(tmp_path: Path) -> None:
    history = history_of_ledger(
        told(
            tmp_path,
            event("Order Completed", 1, order_id="o-1", revenue_micros=7_000_000),
            event("Order Completed", 2, order_id="o-1", revenue_micros=9_000_000),
            event("Order Refunded", 3, order_id="elsewhere", revenue_micros=3_000_000),
        )
    )
    assert [(r["product"], r["amount"], r["is_return"]) for r in lines(history)] == [
        (None, 7.0, False),
        (None, -3.0, True),
    ]


def test_a_cancelled_order_is_an_order_until_it_is_cancelled(tmp_path: Path) -> None:
    history = history_of_ledger(
        told(
            tmp_path,
            event("Order Completed", 1, order_id="o-1", revenue_micros=7_000_000),
            event("Order Cancelled", 5, order_id="o-1"),
        )
    )
    assert [r["cancelled_at"] for r in lines(history)] == [NOW + 5 * HOUR]
    assert history.known_before(NOW + HOUR).order_lines.num_rows == 0, "strictly before"
    assert lines(history.known_before(NOW + 5 * HOUR)) == [{**lines(history)[0], "cancelled_at": None}]
    assert history.known_before(NOW + 6 * HOUR).order_lines.num_rows == 0


def test_contacts_know_what_followed_them(tmp_path: Path) -> None:
    first = decided(decision_id="d-1", customer_id="ada", at=NOW, order_id="o-0", action_id="discount@email")
    first = structs.replace(first, coupon="CODE1")
    second = structs.replace(first, decision_id="d-2", decided_at=NOW + 10 * HOUR, coupon="CODE2")
    control = structs.replace(first, decision_id="d-3", decided_at=NOW + 11 * HOUR, action_id="control", coupon=None)
    path = told(
        tmp_path,
        event("Promotion Viewed", 12, promotion_id="discount"),
        event("Promotion Clicked", 13, coupon="CODE1"),
        event("Page Viewed", 14),
        event("Order Completed", 15, order_id="o-0", revenue_micros=1_000_000),
        event("Order Completed", 16, order_id="o-1", revenue_micros=1_000_000, coupon="CODE2"),
        decisions=(first, second, control),
    )
    history = history_of_ledger(path)
    assert history.contacts.schema == CONTACTS
    assert history.visits.schema == VISITS
    assert [
        (r["decision_id"], r["channel"], r["opened_at"], r["clicked_at"], r["converted_at"])
        for r in history.contacts.to_pylist()
    ] == [
        ("d-1", "email", None, NOW + 13 * HOUR, NOW + 16 * HOUR),
        ("d-2", "email", NOW + 12 * HOUR, None, NOW + 16 * HOUR),
    ]
    assert [r["at"] for r in history.visits.to_pylist()] == [NOW + 13 * HOUR, NOW + 14 * HOUR]
    assert [r["channel"] for r in lines(history)] == [None, "email"], "the channel of the offer that was used"
    before = history.known_before(NOW + 16 * HOUR)
    assert before.contacts["converted_at"].to_pylist() == [None, None]
    assert before.contacts["clicked_at"].to_pylist() == [NOW + 13 * HOUR, None]


def test_some_customers_are_read_as_they_are_among_all(tmp_path: Path) -> None:
    path = told(
        tmp_path,
        *(event("Order Completed", n, f"c-{n % 3}", order_id=f"o-{n}", revenue_micros=n) for n in range(9)),
        decisions=(decided(decision_id="d", customer_id="only decided", at=NOW),),
    )
    everybody, some = history_of_ledger(path), history_of_ledger(path, customers=["c-1", "nobody"])
    assert customers_in(path) == 4
    assert lines(some) == [row for row in lines(everybody) if row["customer_id"] == "c-1"]
    assert len(lines(everybody)) == 9


def test_a_history_needs_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="Expected a ledger at"):
        history_of_ledger(tmp_path / "ledger.db")
