"""Rewards recomputed by hand, and the law that only what happened counts, not when it was heard of."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from decision.programme.model import Goal, Programme
from decision.records import CONTROL, Decision, Outcome, Reward, RewardStatus
from decision.stages.rewards import reward_of
from tests.support import DAY, NOW, SECOND, bought, decided, micros, outcome, programme, refunded

END = NOW + 28 * DAY
FINAL = NOW + 42 * DAY


def reward(*outcomes: Outcome, of: Decision | None = None, shop: Programme | None = None, now: Any = FINAL) -> Reward:
    return reward_of(of or decided(), outcomes, programme=shop or programme(), now=now)


def money(found: Reward) -> tuple[float, float, float, float]:
    """Return revenue, margin, cost and value in currency units."""
    amounts = (found.revenue_micros, found.margin_micros, found.cost_micros, found.value_micros)
    return tuple(amount / 1e6 for amount in amounts)  # type: ignore[return-value]


def test_nothing_happened() -> None:
    found = reward()
    assert (found.visited, found.repurchased, found.redeemed) == (False, False, False)
    assert money(found) == (0.0, 0.0, 0.0, 0.0)


def test_contact_costs_even_where_nothing_happened() -> None:
    assert money(reward(of=decided("discount@sms"))) == (0.0, 0.0, 0.09, -0.09)
    assert money(reward(of=decided(CONTROL))) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("at", "counts"), [(NOW, False), (NOW + SECOND / 1000, True), (END, True), (END + SECOND / 1000, False)]
)
def test_the_window_is_open_at_its_start_and_closed_at_its_end(at: Any, counts: bool) -> None:
    found = reward(bought(at))
    assert found.repurchased is found.visited is counts
    assert money(found)[0] == (50.0 if counts else 0.0)


def test_a_record_that_is_older_than_the_end_of_its_window_has_the_programmes() -> None:
    old = structs.replace(decided(), window_ends_at=None)
    for last, counts in ((28 * DAY, True), (28 * DAY + SECOND, False)):
        assert reward_of(old, [bought(NOW + last)], programme=programme(), now=NOW).repurchased is counts


def test_the_order_that_triggered_the_decision_does_not_count() -> None:
    found = reward(bought(NOW + SECOND, "o-1"), refunded(NOW + DAY, "o-1"))
    assert (found.visited, found.repurchased, money(found)) == (False, False, (0.0, 0.0, 0.0, 0.0))


def test_every_order_in_the_window_counts_used_or_not() -> None:
    found = reward(bought(NOW + DAY), bought(NOW + 2 * DAY, "o-3", 20.0))
    assert money(found) == (70.0, 28.0, 0.0, 28.0)
    assert not found.redeemed


def test_an_order_told_twice_counts_once() -> None:
    assert money(reward(bought(NOW + 2 * DAY, revenue=70.0), bought(NOW + DAY))) == (50.0, 20.0, 0.0, 20.0)


@pytest.mark.parametrize(
    "use",
    [
        (bought(NOW + DAY, coupon="COUPON"),),
        (bought(NOW + DAY, decision_id="d-1"),),
        (outcome("Coupon Applied", NOW + DAY / 2, order_id="o-2", coupon="COUPON"), bought(NOW + DAY)),
        (outcome("Coupon Applied", NOW + DAY / 2, order_id="o-2", coupon_id="COUPON"), bought(NOW + DAY)),
        (outcome("Coupon Applied", NOW + DAY / 2, order_id="o-2", coupon_name="COUPON"), bought(NOW + DAY)),
        (outcome("Coupon Applied", NOW + DAY / 2, order_id="o-2", decision_id="d-1"), bought(NOW + DAY)),
    ],
)
def test_a_redemption_is_charged_on_the_basket_before_discounts(use: tuple[Outcome, ...]) -> None:
    found = reward(*use, of=decided("discount@sms"))
    assert found.redeemed
    assert money(found) == (50.0, 20.0, 5.09, 14.91)


def test_the_discount_is_put_back_because_the_offer_is_charged_by_itself() -> None:
    found = reward(bought(NOW + DAY, revenue=45.0, discount=5.0, coupon="COUPON"))
    assert money(found) == (50.0, 20.0, 5.0, 15.0)


def test_the_margin_of_an_order_that_states_its_own_counts() -> None:
    assert money(reward(bought(NOW + DAY, margin=35.0))) == (50.0, 35.0, 0.0, 35.0)
    assert money(reward(bought(NOW + DAY, margin=-3.0))) == (50.0, -3.0, 0.0, -3.0)


@pytest.mark.parametrize(
    "others",
    [
        (outcome("Coupon Applied", NOW + DAY, order_id="o-2", coupon="ANOTHER"),),
        (outcome("Coupon Applied", NOW + DAY, order_id="o-9", coupon="COUPON"),),
        (outcome("Coupon Entered", NOW + DAY, order_id="o-2", coupon="COUPON"),),
        (
            outcome("Coupon Applied", NOW + DAY, order_id="o-2", coupon="COUPON"),
            outcome("Coupon Removed", NOW + DAY + SECOND, order_id="o-2", coupon="COUPON"),
        ),
    ],
)
def test_what_is_no_redemption_is_not_charged(others: tuple[Outcome, ...]) -> None:
    found = reward(*others, bought(NOW + DAY + 2 * SECOND))
    assert not found.redeemed
    assert money(found) == (50.0, 20.0, 0.0, 20.0)


def test_a_coupon_that_was_put_back_is_redeemed() -> None:
    steps = ["Coupon Applied", "Coupon Removed", "Coupon Applied"]
    uses = [outcome(name, NOW + DAY + n * SECOND, order_id="o-2", coupon="COUPON") for n, name in enumerate(steps)]
    assert reward(*uses, bought(NOW + 2 * DAY)).redeemed


def test_a_control_decision_has_no_coupon_to_redeem() -> None:
    found = reward(bought(NOW + DAY, coupon=None), of=decided(CONTROL))
    assert not found.redeemed


def test_a_partial_refund_takes_its_share_of_everything() -> None:
    found = reward(
        bought(NOW + DAY, coupon="COUPON"), refunded(NOW + 2 * DAY, revenue=20.0), of=decided("discount@sms")
    )
    assert money(found) == (30.0, 12.0, 3.09, 8.91)
    assert found.repurchased
    assert found.redeemed


def test_refunds_of_one_order_add_up() -> None:
    found = reward(bought(NOW + DAY), refunded(NOW + 2 * DAY, revenue=20.0), refunded(NOW + 3 * DAY, revenue=20.0))
    assert money(found) == (10.0, 4.0, 0.0, 4.0)


def test_more_than_was_paid_cannot_be_refunded() -> None:
    found = reward(bought(NOW + DAY), refunded(NOW + 2 * DAY, revenue=80.0))
    assert (money(found), found.repurchased) == ((0.0, 0.0, 0.0, 0.0), False)


def test_a_full_refund_is_no_repurchase_but_the_flat_cost_remains() -> None:
    found = reward(bought(NOW + DAY, coupon="COUPON"), refunded(NOW + 2 * DAY), of=decided("shipping@email"))
    assert (found.visited, found.repurchased, found.redeemed) == (True, False, False)
    assert money(found) == (0.0, 0.0, 4.92, -4.92)


def test_a_cancelled_order_costs_nothing_but_the_contact() -> None:
    cancelled = outcome("Order Cancelled", NOW + 2 * DAY, order_id="o-2")
    found = reward(bought(NOW + DAY, coupon="COUPON"), cancelled, of=decided("shipping@email"))
    assert (found.visited, found.repurchased, found.redeemed) == (True, False, False)
    assert money(found) == (0.0, 0.0, 0.02, -0.02)


def test_a_refund_that_is_heard_of_before_its_order_counts() -> None:
    for refunded_at in (NOW + 2 * DAY, NOW + DAY / 2):  # the second by a clock that is slow
        found = reward(refunded(refunded_at, revenue=20.0), bought(NOW + DAY))
        assert money(found) == (30.0, 12.0, 0.0, 12.0)


def test_a_refund_after_the_window_counts_an_order_after_it_does_not() -> None:
    found = reward(bought(END), refunded(END + 200 * DAY, revenue=20.0), bought(END + DAY, "o-3"))
    assert money(found) == (30.0, 12.0, 0.0, 12.0)


def test_the_refund_of_an_unknown_order_changes_nothing() -> None:
    assert reward(refunded(NOW + DAY, "o-9", revenue=20.0)) == reward()


@pytest.mark.parametrize(
    ("name", "visits"),
    [("Page Viewed", True), ("Store Visited", True), ("Promotion Clicked", True), ("Promotion Viewed", False)],
)
def test_what_a_visit_is(name: str, visits: bool) -> None:
    assert reward(outcome(name, NOW + DAY)).visited is visits
    assert not reward(outcome(name, END + DAY)).visited


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        (Goal(), 20.0 - 5.0),
        (Goal(0.0, 1.0), 50.0 - 5.0),
        (Goal(0.5, 0.1, 2.0, 3.0), 10.0 + 5.0 + 2.0 + 3.0 - 5.0),
    ],
)
def test_the_value_is_under_the_goal(goal: Goal, value: float) -> None:
    assert reward(bought(NOW + DAY, coupon="COUPON"), shop=programme(goal=goal)).value_micros == micros(value)


def test_the_value_is_under_the_goal_of_the_store() -> None:
    at = structs.replace(decided(), store="hamburg")
    assert money(reward(bought(NOW + DAY), of=at))[3] == 22.0


def test_a_store_that_was_dropped_since_has_the_programmes_goal() -> None:
    assert money(reward(bought(NOW + DAY), of=structs.replace(decided(), store="closed")))[3] == 20.0


def test_a_decision_keeps_its_price_when_the_offer_is_dropped_or_becomes_dearer() -> None:
    given_ = decided("shipping@email")
    use = bought(NOW + DAY, coupon="COUPON")
    dearer = programme({'"4.90"': '"9.90"'})
    dropped = programme({"[offers.shipping]": "[offers.other]", "shipping@email": "other@email"})
    assert money(reward(use, of=given_, shop=dearer)) == money(reward(use, of=given_, shop=dropped))
    assert money(reward(use, of=given_, shop=dropped)) == (50.0, 20.0, 4.92, 15.08)


@pytest.mark.parametrize(
    ("now", "status"), [(FINAL - SECOND, RewardStatus.PROVISIONAL), (FINAL, RewardStatus.FINAL), (END, "provisional")]
)
def test_a_reward_is_final_when_window_and_refund_time_are_over(now: Any, status: str) -> None:
    assert reward(now=now).status == status


hours = st.integers(-30, 28 * 24 + 30)
lives = st.lists(
    st.one_of(
        st.builds(
            lambda h, o, amount, used: bought(
                NOW + timedelta(hours=h), o, amount, **({"coupon": "COUPON"} if used else {})
            ),
            hours,
            st.sampled_from(["o-1", "o-2", "o-3"]),
            st.integers(0, 90),
            st.booleans(),
        ),
        st.builds(
            lambda h, o, part: refunded(NOW + timedelta(hours=h), o, **({} if part is None else {"revenue": part})),
            hours,
            st.sampled_from(["o-1", "o-2", "o-3"]),
            st.none() | st.integers(0, 100),
        ),
        st.builds(
            lambda h, o, name: outcome(name, NOW + timedelta(hours=h), order_id=o, coupon="COUPON"),
            hours,
            st.sampled_from(["o-1", "o-2", "o-3"]),
            st.sampled_from(["Order Cancelled", "Coupon Applied", "Coupon Removed", "Page Viewed"]),
        ),
    ),
    max_size=7,
)


@given(lives, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(outcomes: list[Outcome], shuffler: Any) -> None:
    shuffled = list(outcomes)
    shuffler.shuffle(shuffled)
    assert reward(*shuffled) == reward(*outcomes)


@given(lives)
def test_a_reward_is_never_absurd(outcomes: list[Outcome]) -> None:
    paid_for = decided("discount@sms")
    found = reward(*outcomes, of=paid_for)
    assert 0 <= found.margin_micros <= found.revenue_micros
    assert found.cost_micros >= paid_for.contact_cost_micros
    assert found.visited or not found.repurchased
    assert found.repurchased or not found.redeemed
