"""What is read from events: baskets newest first, and all that came back."""

from decision.stages.baskets import History, history, products_of
from tests.support import DAY, NOW, bought, outcome, refunded


def test_all_ways_to_list_products_are_read() -> None:
    lines = [{"product_id": "A", "sku": "a-1"}, {"sku": "B"}, "C", ["D", 2, 500], {"name": "E"}, {}, None, 7.5, []]
    assert products_of({"products": lines}) == ("A", "B", "C", "D", "E")
    assert products_of({"products": "A"}) == products_of({}) == ()


def test_baskets_come_newest_first_without_the_order_in_hand() -> None:
    events = [
        bought(NOW - 3 * DAY, "o-1", products=["A"]),
        bought(NOW - DAY, "o-2", products=["B", "C"]),
        bought(NOW, "o-3", products=["D"]),
        bought(NOW - 2 * DAY, "o-4", products=["E"]),
        outcome("Order Cancelled", NOW, order_id="o-4"),
    ]
    assert history(events, but_for="o-3") == History((("B", "C"), ("A",)))


def test_a_refund_brings_back_what_it_names_or_its_whole_order() -> None:
    events = [
        bought(NOW - 3 * DAY, "o-1", products=["A", "B"]),
        bought(NOW - 2 * DAY, "o-2", products=["C"]),
        bought(NOW - 2 * DAY, "o-3", products=["D"]),
        refunded(NOW - DAY, "o-1", products=["B"], revenue=5.0),
        refunded(NOW - DAY, "o-2"),
        refunded(NOW - DAY, "o-3", revenue=1.0),
    ]
    assert history(events, but_for="").returned == {"B", "C"}
