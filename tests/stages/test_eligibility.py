"""May this customer be treated at all?"""

import pytest

from decision.programme.model import Eligibility
from decision.records import Consent, Customer, Reason
from decision.stages.eligibility import _compiled, assess, facts
from tests.support import NOW, asked, order

OPEN = Eligibility(max_return_rate=None, return_rate_min_orders=5, excluded_products=frozenset(), rules=())
ANNA = Customer("c-1", orders=4, returns=1, revenue_micros=200_000_000)


def ruled(*rules: str) -> Eligibility:
    return Eligibility(None, 5, frozenset(), rules)


def test_a_customer_of_whom_nothing_is_known_may_be_treated() -> None:
    assert assess(asked(), Customer("c-1"), OPEN) is None


def test_who_has_opted_out_of_everything_is_left_alone() -> None:
    customer = Customer("c-1", consent={"*": Consent(False, NOW)})
    assert assess(asked(), customer, OPEN) == (Reason.OPTED_OUT, "the customer has opted out")


def test_who_opted_in_again_may_be_treated() -> None:
    assert assess(asked(), Customer("c-1", consent={"*": Consent(True, NOW)}), OPEN) is None


@pytest.mark.parametrize(
    ("orders", "returns", "refused"), [(10, 7, False), (10, 8, True), (4, 4, False), (5, 5, True), (0, 9, False)]
)
def test_return_abuse_counts_from_the_least_number_of_orders(orders: int, returns: int, refused: bool) -> None:
    rules = Eligibility(0.7, 5, frozenset(), ())
    found = assess(asked(), Customer("c-1", orders=orders, returns=returns), rules)
    assert (found is not None and found[0] is Reason.RETURN_ABUSE) is refused


def test_an_excluded_product_in_the_order_refuses() -> None:
    rules = Eligibility(None, 5, frozenset({"GIFT-CARD", "SALE"}), ())
    assert assess(asked(order=order(products=("SHOE",))), ANNA, rules) is None
    found = assess(asked(order=order(products=("SHOE", "SALE"))), ANNA, rules)
    assert found == (Reason.EXCLUDED_PRODUCT, "the order holds SALE")


@pytest.mark.parametrize(
    "rule",
    [
        "order.total >= 5.0",
        "order.total >= 5",
        "customer.orders >= 1.5",
        "customer.return_rate < 0.5",
        "customer.revenue == 200.0",
        "trigger in ['purchase', 'return']",
        "store == ''",
        "features.age > 17",
        "!has(features.tier) || features.tier != 'staff'",
        "!order.products.exists(p, p == 'GIFT-CARD')",
        "order.item_count == 1 && order.discount == 0.0",
    ],
)
def test_a_rule_that_holds_lets_pass(rule: str) -> None:
    assert assess(asked(features={"age": 30.0}), ANNA, ruled(rule)) is None


def test_the_first_broken_rule_is_named() -> None:
    found = assess(asked(), ANNA, ruled("order.total > 1.0", "order.total > 100.0", "false"))
    assert found == (Reason.RULE_NOT_MET, "the rule order.total > 100.0 does not hold")


@pytest.mark.parametrize(
    "rule",
    [
        "features.age > 18.0",  # a feature that was not sent
        "features.tier > 'gold'",  # sent as unknown
        "1 / (customer.orders - 4) > 0",
        "order.products[0] == 'X'",
        "9223372036854775807 + customer.orders > 0",
        "order.total > 'a'",
        "int(store) > 1",
        "timestamp(store) > timestamp('2026-01-01T00:00:00Z')",
        "unknown_function(1)",
        "'a'.matches('(')",
    ],
)
def test_a_rule_that_cannot_be_evaluated_does_not_hold(rule: str) -> None:
    found = assess(asked(features={"tier": None}), ANNA, ruled(rule))
    assert found == (Reason.RULE_FAILED, f"the rule {rule} could not be evaluated")


def test_a_rule_that_answers_something_else_than_true_does_not_hold() -> None:
    assert assess(asked(), ANNA, ruled("1 + 1")) == (Reason.RULE_NOT_MET, "the rule 1 + 1 does not hold")


@pytest.mark.parametrize(
    ("rule", "order_fields"),
    [
        ("order.total >= 5.0", {"total"}),
        ("order.total >= 5.0 && order.discount < order.total", {"total", "discount"}),
        ("!order.products.exists(p, p == 'x')", {"products"}),
        ("has(order.item_count) && order.item_count > 1", {"item_count"}),
        ("order['total'] >= 5.0", None),
        ("size(order) > 3", None),
        ("order.total >= 5.0 && 'total' in order", None),
        ("trigger == 'order.total'", set()),
    ],
)
def test_a_rule_is_handed_what_it_speaks_of(rule: str, order_fields: set[str] | None) -> None:
    """Handing over less is faster, and must not change what a rule says."""
    compiled, whole = _compiled(rule), facts(asked(), ANNA)
    if order_fields != set():
        assert dict(compiled.speaks_of)["order"] == order_fields
    assert compiled.holds(whole) == (compiled.program.execute(whole) is True)
