import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision.records import Outcome
from decision.stages.events import ORDER_COMPLETED, ORDER_REFUNDED

GOOD = "1,ann,tea,2,3.10,2026-03-01 10:00"
FRESH = count()
EVER = {"start": datetime(2000, 1, 1, tzinfo=UTC), "end": datetime(2030, 1, 1, tzinfo=UTC)}


def test_the_lines_of_one_order_are_one_order_with_an_exact_sum(shop):
    receipt = shop.orders(
        "1,ann,tea,3,0.10,2026-07-01 10:01", "2,bob,mug,1,7,2026-07-01 11:00", "1,ann,mug,1,7.005,2026-07-01 10:00"
    )
    assert (receipt.lines, receipt.used, receipt.orders, receipt.new_orders, receipt.customers) == (3, 3, 2, 2, 2)
    (order,) = shop.ledger.outcomes_of("ann", **EVER)
    assert (order.name, order.message_id) == (ORDER_COMPLETED, "import:till:1")
    assert order.occurred_at == datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
    assert order.properties == {
        "order_id": "1",
        "currency": "EUR",
        "revenue_micros": 7_305_000,
        "products": [["tea", 3, 300_000], ["mug", 1, 7_005_000]],
    }
    customer = shop.ledger.customer("ann")
    assert (customer.orders, customer.returns, customer.revenue_micros) == (1, 0, 7_305_000)


def test_an_invoice_with_the_return_prefix_is_a_refund_of_its_own(shop):
    receipt = shop.orders(GOOD, "C2,ann,tea,-1,3.10,2026-03-05 10:00", "C2,ann,mug,-2,1.50,2026-03-05 10:00")
    assert (receipt.orders, receipt.returns, receipt.new_returns) == (1, 1, 1)
    _, refund = shop.ledger.outcomes_of("ann", **EVER)
    assert (refund.name, refund.message_id) == (ORDER_REFUNDED, "import:till:C2:returned")
    assert refund.properties["order_id"] == "C2"
    assert refund.properties["revenue_micros"] == 6_100_000
    assert refund.properties["products"] == [["tea", 1, 3_100_000], ["mug", 2, 3_000_000]]
    customer = shop.ledger.customer("ann")
    assert (customer.orders, customer.returns, customer.revenue_micros) == (1, 1, 100_000)


def test_under_the_sign_rule_goods_of_another_day_are_another_return_of_the_same_order(shop, orders_mapping):
    mapping = orders_mapping.replace('return_prefix = "C"', "negative_quantity = true")
    receipt = shop.orders(
        "1,ann,tea,5,2,2026-03-01 10:00",
        "1,ann,tea,-1,2,2026-03-05 10:00",
        "1,ann,tea,-1,2,2026-03-05 18:00",
        "1,ann,tea,-1,2,2026-03-09 10:00",
        mapping=mapping,
    )
    assert (receipt.orders, receipt.returns) == (1, 2)
    _, first, second = shop.ledger.outcomes_of("ann", **EVER)
    assert [r.properties["revenue_micros"] for r in (first, second)] == [4_000_000, 2_000_000]
    assert {r.properties["order_id"] for r in (first, second)} == {"1"}


def test_a_column_can_mark_returns_and_write_them_without_a_sign(shop, orders_mapping):
    mapping = orders_mapping.replace('return_prefix = "C"', 'column = "kind"\nvalue = "R"\nquantity = "positive"')
    receipt = shop.orders(
        "1,ann,tea,2,2,2026-03-01,S",
        "1,ann,tea,1,2,2026-03-05,R",
        "1,ann,tea,-1,2,2026-03-05,R",
        header="invoice,who,code,n,price,at,kind",
        mapping=mapping,
    )
    assert (receipt.orders, receipt.returns) == (1, 1)
    assert receipt.rejected == {"negative quantity in a return": 1}


REJECTED = [
    (",ann,tea,1,1,2026-03-01", "no order id"),
    ("A7,,B,1,1,2026-03-01", "adjustment of the books, no order"),
    ("9,,tea,1,1,2026-03-01", "no customer id"),
    ("9,ann,,1,1,2026-03-01", "no product code"),
    ("9,ann,post,1,1,2026-03-01", "not a product (postage, fees, vouchers, corrections)"),
    ("9,ann,gift_0001_20,1,1,2026-03-01", "not a product (postage, fees, vouchers, corrections)"),
    ("9,ann,tea,some,1,2026-03-01", "not a number in 'n'"),
    ("9,ann,tea,0,1,2026-03-01", "quantity of zero"),
    ("9,ann,tea,-1,1,2026-03-01", "negative quantity outside a return"),
    ("C9,ann,tea,1,1,2026-03-01", "positive quantity in a return"),
    ("9,ann,tea,1,,2026-03-01", "no value in 'price'"),
    ("9,ann,tea,1,0.00,2026-03-01", "price of zero"),
    ("9,ann,tea,1,-2,2026-03-01", "negative price"),
    ("9,ann,tea,1,0.0000001,2026-03-01", "an amount that is too large or has more than six decimals"),
    ("9,ann,tea,999999999,999,2026-03-01", "an amount that is too large or has more than six decimals"),
    ("9,ann,tea,1,1,01.03.2026", "no readable time in 'at'"),
    ("9,ann,tea,1,1,2027-03-01", "a time in the future"),
    ("9,ann,tea,1,1", "not 6 columns"),
    ("1,bob,tea,1,1,2026-03-01", "another customer than the first line of its order"),
]


@pytest.mark.parametrize(("line", "reason"), REJECTED)
def test_a_line_that_can_t_be_used_is_counted_under_one_reason_and_kept_as_it_came(shop, line, reason):
    receipt = shop.orders(GOOD, line)
    assert (receipt.lines, receipt.used, receipt.rejected) == (2, 1, {reason: 1})
    with receipt.rejects_path.open(newline="") as file:
        header, rejected = csv.reader(file)
    assert header == ["row", "reason", "invoice", "who", "code", "n", "price", "at"]
    number, told, *cells = rejected
    assert (number, cells) == ("2", line.split(","))
    assert told == reason or told.startswith(f"{reason}: ")
    assert shop.ledger.counts()["outcomes"] == 1


def test_without_a_rule_for_returns_a_negative_quantity_can_t_be_used(shop, orders_mapping):
    mapping = orders_mapping.replace('[returns]\nreturn_prefix = "C"', "")
    receipt = shop.orders(GOOD, "C2,ann,tea,-1,3.10,2026-03-05", mapping=mapping)
    assert receipt.rejected == {"negative quantity outside a return": 1}


def test_a_column_of_currencies_rejects_the_lines_of_another(shop, orders_mapping):
    mapping = orders_mapping.replace('currency = "EUR"', "").replace('time = "at"', 'time = "at"\ncurrency = "money"')
    header = "invoice,who,code,n,price,at,money"
    receipt = shop.orders(
        "1,ann,tea,1,1,2026-03-01,EUR", "2,ann,tea,1,1,2026-03-01,USD", header=header, mapping=mapping
    )
    assert receipt.rejected == {"another currency than EUR": 1}


def test_lines_of_an_order_that_the_door_of_events_refuses_are_rejected_together(shop):
    receipt = shop.orders(GOOD, *["9,ann,tea,600000000,1,2026-03-01"] * 2)
    assert receipt.used == 1
    ((reason, n),) = receipt.rejected.items()
    assert n == 2
    assert reason.startswith("its order is refused: Expected an amount of at most")


def test_a_line_that_repeats_is_kept_unless_the_mapping_says_otherwise(shop, orders_mapping):
    assert shop.orders(GOOD, GOOD).used == 2
    assert shop.ledger.customer("ann").revenue_micros == 12_400_000
    mapping = orders_mapping.replace("[columns]", 'duplicate_lines = "reject"\n[columns]')
    receipt = shop.orders(GOOD, GOOD, mapping=mapping)
    assert (receipt.used, receipt.rejected) == (1, {"the same line again": 1})


def test_a_second_import_changes_nothing_and_says_so(shop):
    lines = [GOOD, "C2,ann,tea,-1,3.10,2026-03-05", "3,bob,tea,1,1,2026-03-01"]
    shop.orders(*lines)
    before, customer = list(shop.ledger.rows("outcomes")), shop.ledger.customer("ann")
    receipt = shop.orders(*reversed(lines))
    assert (receipt.orders, receipt.new_orders, receipt.returns, receipt.new_returns) == (2, 0, 1, 0)
    assert list(shop.ledger.rows("outcomes")) == before
    assert shop.ledger.customer("ann") == customer


def test_an_order_that_an_event_has_told_of_counts_once(shop):
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    shop.ledger.record_outcomes(
        [Outcome("m-1", ORDER_COMPLETED, "ann", at, {"order_id": "1", "revenue_micros": 6_200_000})], now=at
    )
    assert shop.orders(GOOD, "2,ann,tea,1,5,2026-03-02").new_orders == 2
    customer = shop.ledger.customer("ann")
    assert (customer.orders, customer.returns, customer.revenue_micros) == (2, 0, 11_200_000)


prices = st.decimals(min_value=Decimal("0.001"), max_value=100, places=3)
lines = st.tuples(
    st.sampled_from(["1", "2", "C3", "A4", ""]),
    st.sampled_from(["ann", "bob", ""]),
    st.sampled_from(["tea", "POST"]),
    st.sampled_from([-2, 0, 1, 3]),
    st.one_of(prices, st.sampled_from(["", "x", "0", "-1"])),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(lines, max_size=25))
def test_whatever_the_lines_are_counts_and_money_add_up(shop, orders_mapping, rows):
    at = datetime(2026, 3, 1)
    # The ledger outlives an example: each has customers of its own, or their orders would be known.
    people = {who: f"{who}-{next(FRESH)}" for who in ("ann", "bob")} | {"": ""}
    rows = [(order, people[who], *rest) for order, who, *rest in rows]
    written = [f"{','.join(map(str, row))},{(at + timedelta(minutes=i)).isoformat()}" for i, row in enumerate(rows)]
    receipt = shop.orders(*written, mapping=orders_mapping.replace('"till"', f'"{next(FRESH)}"'))
    assert receipt.lines == len(rows) == receipt.used + sum(receipt.rejected.values())
    rejected = {int(line[0]) for line in rejects(receipt)}
    used = [row for i, row in enumerate(rows, start=1) if i not in rejected]
    assert len(used) == receipt.used
    assert money(shop, people.values()) == sum(Decimal(row[3]) * Decimal(row[4]) for row in used)
    assert receipt.new_orders + receipt.new_returns == len({row[0] for row in used})


def money(shop, people):
    return sum((Decimal(shop.ledger.customer(who).revenue_micros) / 1_000_000 for who in people), Decimal())


def rejects(receipt):
    if receipt.rejects_path is None:
        return []
    with receipt.rejects_path.open(newline="") as file:
        return list(csv.reader(file))[1:]
