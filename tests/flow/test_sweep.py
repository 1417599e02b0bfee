"""Rewards mature, are revised by what is heard of late, and budgets follow; nothing is ever overwritten."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.flow.decide import decide
from decision.flow.sweep import Swept, sweep
from decision.ledger.base import Rewarded
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.records import CONTROL, Decision, Group, Outcome, Reward, RewardStatus
from decision.serving import Serving
from decision.stages.guardrails import Used
from tests.support import DAY, NOW, SECOND, asked, bought, budget, decided, micros, only, outcome, programme, refunded

EXPIRY = NOW + 28 * DAY
RIPE = NOW + 42 * DAY
SHOP = only(Group.BUSINESS_AS_USUAL, budgets=(budget(count=5), budget("money", amount_micros=micros(100.0))))


def given_shipping(ledger: SqliteLedger, decision_id: str = "d-1", shop: Programme = SHOP) -> Decision:
    """Decide shipping@email, which reserves 4.92 and one piece."""
    found = decide(asked(decision_id, trigger="return"), serving=Serving(shop, None), ledger=ledger, now=NOW)
    assert found.action_id == "shipping@email"
    return found


def hear(ledger: SqliteLedger, *outcomes: Outcome, at: datetime = NOW + DAY, shop: Programme = SHOP) -> Swept:
    ledger.record_outcomes(outcomes, now=at)
    return sweep(programme=shop, ledger=ledger, now=at)


def used(ledger: SqliteLedger) -> tuple[float, int]:
    """Return money and pieces that are taken; both budgets count both."""
    pieces, money = ledger.used(["b|programme"]), ledger.used(["money|programme"])
    assert list(pieces.values()) == list(money.values())
    taken = pieces["b|programme"]
    return taken.amount_micros / 1e6, taken.count


def reward(ledger: SqliteLedger, decision_id: str = "d-1") -> Reward:
    found = ledger.reward(decision_id)
    assert found is not None
    return found


def test_a_reward_grows_from_provisional_to_final(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    assert sweep(programme=SHOP, ledger=ledger, now=NOW + DAY) == Swept(0, 0)
    assert ledger.reward("d-1") is None, "a negative that has not matured yet is not a negative"
    assert hear(ledger, bought(NOW + DAY)) == Swept(1, 0)
    assert (reward(ledger).status, reward(ledger).repurchased) == (RewardStatus.PROVISIONAL, True)
    assert sweep(programme=SHOP, ledger=ledger, now=RIPE - SECOND).rewards == 0
    assert sweep(programme=SHOP, ledger=ledger, now=RIPE).rewards == 1
    assert (reward(ledger).status, reward(ledger).revenue_micros) == (RewardStatus.FINAL, micros(50.0))
    assert ledger.counts()["unfinished"] == 0


def test_silence_is_final_in_the_end(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    assert sweep(programme=SHOP, ledger=ledger, now=RIPE).rewards == 1
    assert (reward(ledger).status, reward(ledger).repurchased) == (RewardStatus.FINAL, False)
    assert reward(ledger).value_micros == -20_000


def test_sweeping_twice_changes_nothing(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    hear(ledger, bought(NOW + DAY), refunded(NOW + 2 * DAY, revenue=5.0), at=NOW + 3 * DAY)
    for now in (NOW + 3 * DAY, EXPIRY, RIPE, RIPE + 400 * DAY):
        sweep(programme=SHOP, ledger=ledger, now=now)
        before = list(ledger.rows("rewards")), used(ledger)
        assert sweep(programme=SHOP, ledger=ledger, now=now + SECOND) == Swept(0, 0)
        assert (list(ledger.rows("rewards")), used(ledger)) == before


def test_a_late_refund_revises_a_final_reward_and_both_are_kept(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    hear(ledger, bought(NOW + DAY), at=RIPE)
    assert (reward(ledger).status, reward(ledger).repurchased) == (RewardStatus.FINAL, True)
    assert hear(ledger, refunded(RIPE + 30 * DAY), at=RIPE + 30 * DAY) == Swept(1, 0)
    assert (reward(ledger).status, reward(ledger).repurchased) == (RewardStatus.FINAL, False)
    assert [row["repurchased"] for row in ledger.rows("rewards")] == [1, 0]


def test_a_final_reward_stays_final_when_the_clock_is_set_back(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    sweep(programme=SHOP, ledger=ledger, now=RIPE)
    hear(ledger, bought(NOW + DAY), at=RIPE - SECOND)
    assert (reward(ledger).status, reward(ledger).repurchased) == (RewardStatus.FINAL, True)
    hear(ledger, refunded(NOW + 2 * DAY), at=RIPE + DAY)
    assert (reward(ledger).status, reward(ledger).repurchased) == (RewardStatus.FINAL, False)


def test_an_order_is_reward_of_every_decision_whose_window_holds_it(ledger: SqliteLedger) -> None:
    serving = Serving(SHOP, None)
    for n, at in enumerate((NOW, NOW + 10 * DAY, NOW + 20 * DAY)):
        decide(asked(f"d-{n}"), serving=serving, ledger=ledger, now=at)
    hear(ledger, bought(NOW + 29 * DAY), at=NOW + 30 * DAY)
    assert [reward(ledger, f"d-{n}").repurchased for n in range(3)] == [False, True, True]


def test_other_customers_are_not_touched(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    assert hear(ledger, bought(NOW + DAY, customer_id="c-2")) == Swept(0, 0)


def test_what_is_reserved_stands_while_the_offer_runs(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    assert used(ledger) == (4.92, 1)
    hear(ledger, bought(NOW + DAY))
    assert used(ledger) == (4.92, 1), "an order without the coupon does not use it up"
    assert sweep(programme=SHOP, ledger=ledger, now=EXPIRY - SECOND).expired == 0
    assert used(ledger) == (4.92, 1)


def test_an_unused_offer_is_released_when_it_expires(ledger: SqliteLedger) -> None:
    given_shipping(ledger)
    assert sweep(programme=SHOP, ledger=ledger, now=EXPIRY) == Swept(0, 1)
    assert used(ledger) == (0.02, 0), "the contact was paid for"
    assert sweep(programme=SHOP, ledger=ledger, now=EXPIRY).expired == 0


def test_a_redemption_is_spent_and_stays_spent(ledger: SqliteLedger) -> None:
    decision = given_shipping(ledger)
    hear(ledger, bought(NOW + DAY, coupon=decision.coupon))
    assert used(ledger) == (4.92, 1)
    sweep(programme=SHOP, ledger=ledger, now=EXPIRY)
    sweep(programme=SHOP, ledger=ledger, now=RIPE)
    assert used(ledger) == (4.92, 1)


def test_a_percentage_is_spent_on_the_basket_it_was_redeemed_on(ledger: SqliteLedger) -> None:
    decision = decide(asked(), serving=Serving(SHOP, None), ledger=ledger, now=NOW)
    assert used(ledger) == (6.0, 1), "a tenth of the 60.00 that are known so far"
    hear(ledger, bought(NOW + DAY, revenue=45.0, discount=5.0, coupon=decision.coupon))
    assert used(ledger) == (5.0, 1)


def test_a_refund_gives_back_what_a_redemption_took(ledger: SqliteLedger) -> None:
    decision = decide(asked(), serving=Serving(SHOP, None), ledger=ledger, now=NOW)
    hear(ledger, bought(NOW + DAY, coupon=decision.coupon))
    hear(ledger, refunded(NOW + 2 * DAY, revenue=20.0), at=NOW + 2 * DAY)
    assert used(ledger) == (3.0, 1)
    hear(ledger, refunded(NOW + 3 * DAY, revenue=30.0), at=NOW + 3 * DAY)
    assert used(ledger) == (0.0, 0)
    hear(ledger, refunded(RIPE + DAY, "o-9"), at=RIPE + DAY)
    assert used(ledger) == (0.0, 0)


def test_a_cancelled_redemption_gives_back_everything_but_the_contact(ledger: SqliteLedger) -> None:
    decision = given_shipping(ledger)
    hear(ledger, bought(NOW + DAY, coupon=decision.coupon))
    hear(ledger, outcome("Order Cancelled", NOW + 2 * DAY, order_id="o-2"), at=NOW + 2 * DAY)
    assert used(ledger) == (0.02, 0)


def test_a_redemption_that_is_heard_of_after_expiry_is_still_spent(ledger: SqliteLedger) -> None:
    decision = given_shipping(ledger)
    sweep(programme=SHOP, ledger=ledger, now=EXPIRY + DAY)
    assert used(ledger) == (0.02, 0)
    hear(ledger, bought(NOW + DAY, coupon=decision.coupon), at=EXPIRY + 2 * DAY)
    assert used(ledger) == (4.92, 1)


def test_a_released_piece_can_be_given_again(ledger: SqliteLedger) -> None:
    shop = replace(SHOP, budgets=(budget(count=1),))
    given_shipping(ledger, shop=shop)
    asks = [asked(f"d-{n}", f"c-{n}", trigger="return") for n in range(2, 5)]
    assert decide(asks[0], serving=Serving(shop, None), ledger=ledger, now=NOW + DAY).action_id == CONTROL
    sweep(programme=shop, ledger=ledger, now=EXPIRY)
    again = [decide(a, serving=Serving(shop, None), ledger=ledger, now=EXPIRY).action_id for a in asks[1:]]
    assert again == ["shipping@email", CONTROL]


def test_budgets_of_a_past_period_are_settled_in_it(ledger: SqliteLedger) -> None:
    shop = replace(SHOP, budgets=(budget(count=5, period="month"),))
    decision = given_shipping(ledger, shop=shop)
    hear(ledger, bought(EXPIRY - DAY, coupon=decision.coupon), at=EXPIRY - DAY, shop=shop)
    sweep(programme=shop, ledger=ledger, now=RIPE)
    assert ledger.used(["b|2026-03-01", "b|2026-04-01"]) == {"b|2026-03-01": Used(micros(4.92), 1)}


def test_offers_and_stores_may_be_dropped_while_decisions_are_open(ledger: SqliteLedger) -> None:
    decision = decide(asked(trigger="return", store="hamburg"), serving=Serving(SHOP, None), ledger=ledger, now=NOW)
    less = programme(
        {"[offers.shipping]": "[offers.other]", "shipping@email": "other@email", "[stores.hamburg]": "[stores.b]"},
        budgets=SHOP.budgets,
    )
    hear(ledger, bought(NOW + DAY, coupon=decision.coupon), shop=less)
    sweep(programme=less, ledger=ledger, now=RIPE)
    assert (reward(ledger).status, reward(ledger).cost_micros) == (RewardStatus.FINAL, micros(4.92))
    assert used(ledger) == (4.92, 1)


@pytest.mark.parametrize("days", [7, 60])
def test_a_window_that_is_changed_leaves_earlier_decisions_theirs(ledger: SqliteLedger, days: int) -> None:
    given_shipping(ledger)
    hear(ledger, bought(NOW + 20 * DAY), at=NOW + 21 * DAY)
    changed = replace(SHOP, attribution_window_days=days)
    hear(ledger, bought(NOW + 29 * DAY, "o-3"), at=NOW + 30 * DAY, shop=changed)
    sweep(programme=changed, ledger=ledger, now=RIPE)
    assert (reward(ledger).repurchased, reward(ledger).revenue_micros) == (True, micros(50.0))


def test_more_decisions_than_a_batch_are_all_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from decision.flow import sweep as sweep_module

    monkeypatch.setattr(sweep_module, "BATCH", 7)
    ledger = SqliteLedger.create(tmp_path / "many.db", durable=False)
    for n in range(50):
        decide(asked(f"d-{n}", f"c-{n}"), serving=Serving(programme(), None), ledger=ledger, now=NOW)
    events = [bought(NOW + DAY, f"b-{n}", customer_id=f"c-{n}") for n in range(0, 50, 2)]
    assert hear(ledger, *events, shop=programme()).rewards == 25
    assert sweep(programme=programme(), ledger=ledger, now=RIPE).rewards == 50
    ledger.close()


def test_imported_decisions_keep_the_reward_they_came_with(ledger: SqliteLedger) -> None:
    past = decided(policy_version="trial:mail", decision_id="trial:mail:1", at=NOW - 60 * DAY)
    own = Reward(past.decision_id, RewardStatus.FINAL, True, True, False, 5, 5, 0, 5, NOW)
    ledger.import_decisions([Rewarded(past, own)])
    hear(ledger, bought(NOW - 50 * DAY), refunded(NOW - 40 * DAY))
    assert ledger.reward(past.decision_id) == own


LIFE: list[Callable[[Decision], Outcome]] = [
    lambda d: bought(NOW + DAY, coupon=d.coupon, message_id="m-1"),
    lambda d: refunded(NOW + 20 * DAY, revenue=20.0, message_id="m-2"),
    lambda d: bought(NOW + 5 * DAY, "o-3", 30.0, message_id="m-3"),
    lambda d: outcome("Order Cancelled", NOW + 6 * DAY, order_id="o-3", message_id="m-4"),
    lambda d: refunded(NOW + 60 * DAY, message_id="m-5"),
    lambda d: outcome("Page Viewed", NOW + 2 * DAY, message_id="m-6"),
]


@given(st.permutations(range(len(LIFE))), st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 5))
def test_it_does_not_matter_when_and_in_which_order_events_are_heard_of(
    order: list[int], sweeps: list[bool], again: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger.create(Path(folder) / "ledger.db", durable=False)
        decision = given_shipping(ledger)
        now = NOW + DAY
        for place, sweep_now in zip([*order, order[again]], [*sweeps, True], strict=True):
            ledger.record_outcomes([LIFE[place](decision)], now=now)
            now += timedelta(days=11)
            if sweep_now:
                sweep(programme=SHOP, ledger=ledger, now=now)
        sweep(programme=SHOP, ledger=ledger, now=NOW + 100 * DAY)
        found = replace(reward(ledger), computed_at=NOW)
        expected = Reward("d-1", RewardStatus.FINAL, True, False, False, 0, 0, micros(4.92), -micros(4.92), NOW)
        assert found == expected
        assert used(ledger) == (4.92, 0)
        assert (ledger.customer("c-1").orders, ledger.customer("c-1").returns) == (1, 1)
        ledger.close()


PROTECTED = ("decisions", "outcomes", "rewards")


def test_decisions_outcomes_and_rewards_are_only_ever_appended(tmp_path: Path) -> None:
    """Triggers in the file refuse what an append-only log must never see, in a whole life of a shop."""
    ledger = SqliteLedger.create(tmp_path / "ledger.db", durable=False)
    for table in PROTECTED:
        for verb in ("UPDATE", "DELETE"):
            ledger._db.execute(
                f"CREATE TRIGGER no_{verb}_{table} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
            )
    rng = random.Random(2)
    shop = only(Group.RANDOM, budgets=SHOP.budgets)
    now = NOW
    for n in range(60):
        now += timedelta(hours=20)
        customer = f"c-{rng.randrange(8)}"
        found = decide(asked(f"d-{n}", customer), serving=Serving(shop, None), ledger=ledger, now=now)
        assert decide(asked(f"d-{n}", customer), serving=Serving(shop, None), ledger=ledger, now=now) == found
        events = [bought(now + timedelta(hours=5), f"o-{n}", customer_id=customer, coupon=found.coupon)]
        if rng.random() < 0.5:
            events.append(refunded(now + timedelta(hours=9), f"o-{n}", customer_id=customer))
        hear(ledger, *events, *events, at=now + DAY, shop=shop)
    sweep(programme=shop, ledger=ledger, now=now + 90 * DAY)
    assert (ledger.counts()["decisions"], ledger.counts()["unfinished"]) == (60, 0)
    assert {row.reward.status for row in ledger.rewarded()} == {RewardStatus.FINAL}
    assert ledger.counts()["rewards"] > 60, "rewards were revised"
    ledger.close()
