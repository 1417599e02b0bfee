"""The contract of a ledger, run against every implementation."""

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from decision.errors import Conflict, LedgerError, NotFound
from decision.ledger.base import Act, Ledger, PosteriorRecord, PriceRecord, Promotion, Rewarded, Settlement
from decision.records import (
    CONTROL,
    Consent,
    Customer,
    Decision,
    Group,
    Promise,
    Reason,
    Rejection,
    Reservation,
    Reward,
    RewardStatus,
)
from decision.stages.guardrails import Used
from decision.stages.keys import ApiKey, Role
from decision.stages.pacing import Price
from tests.support import DAY, NOW, SECOND, bought, decided, micros, outcome, refunded

FULL = Decision(
    decision_id="d-full",
    customer_id="ünï",
    trigger="return",
    store="hamburg",
    order_id="o-1",
    decided_at=NOW + timedelta(microseconds=123456),
    group=Group.POLICY,
    action_id="discount@sms",
    propensity=0.1234567890123456,
    policy_version="20260304-abc+7",
    allowed=(CONTROL, "discount@sms", "thanks@email"),
    distribution=(0.5, 0.1234567890123456, 0.3765432109876544),
    context={"store": "hamburg", "order_total": 59.9, "age": None, "tier": "gold"},
    predictions={"repurchase": (0.1, 0.2, None), "value": (1.5, -2.5, None)},
    rejected=(Rejection("shipping@email", Reason.BUDGET_EXHAUSTED, "budget b is used up"),),
    reasons=(("explored", "expected value 1.00 €"),),
    expires_at=NOW + 28 * DAY,
    matures_at=NOW + 42 * DAY,
    contact_cost_micros=90_000,
    fingerprint="f" * 64,
    coupon="ABC",
    redemption_cost_micros=4_900_000,
    redemption_share=0.1,
    promise=Promise("percent_discount", {"percent": 10.0, "min_basket": {"amount": "20.50", "currency": "EUR"}}),
    window_ends_at=NOW + 28 * DAY,
)


def reward(decision_id: str = "d-1", status: RewardStatus = RewardStatus.PROVISIONAL, **changes: object) -> Reward:
    blank = Reward(decision_id, status, True, True, False, 50_000_000, 20_000_000, 0, 20_000_000, NOW)
    return replace(blank, **changes)  # type: ignore[arg-type]


def write(ledger: Ledger, *decisions: Decision, reservations: tuple[Reservation, ...] = ()) -> None:
    for decision in decisions:
        seen = ledger.customer(decision.customer_id).version
        ledger.record_decision(decision, reservations, seen_version=seen)


def test_a_decision_comes_back_as_it_was(ledger: Ledger) -> None:
    write(ledger, FULL)
    assert ledger.decision("d-full") == FULL
    assert ledger.decision("D-FULL") is None
    assert ledger.decision("d-0") is None


def test_a_control_decision_comes_back_as_it_was(ledger: Ledger) -> None:
    write(ledger, decided(CONTROL))
    assert ledger.decision("d-1") == decided(CONTROL)


def test_a_decision_id_is_written_once(ledger: Ledger) -> None:
    write(ledger, decided())
    with pytest.raises(Conflict, match="exists"):
        write(ledger, decided(customer_id="c-2"))
    assert ledger.decision("d-1") == decided()
    assert ledger.counts()["decisions"] == 1


def test_what_was_seen_of_a_customer_must_still_be_true(ledger: Ledger) -> None:
    before = ledger.customer("c-1")
    write(ledger, decided())
    with pytest.raises(Conflict, match="meanwhile") as caught:
        ledger.record_decision(decided(decision_id="d-2"), (), seen_version=before.version)
    assert caught.value.exhausted == frozenset()
    assert ledger.decision("d-2") is None
    ledger.record_decision(decided(decision_id="d-2"), (), seen_version=ledger.customer("c-1").version)
    assert ledger.counts()["decisions"] == 2


def test_another_customers_decision_is_no_conflict(ledger: Ledger) -> None:
    seen = ledger.customer("c-1").version
    write(ledger, decided(decision_id="d-2", customer_id="c-2"))
    ledger.record_decision(decided(), (), seen_version=seen)


def test_an_exhausted_budget_is_named_and_nothing_is_written(ledger: Ledger) -> None:
    pieces, money = Reservation("pieces", 5, None, 2), Reservation("money", 5, 12, None)
    write(ledger, decided(), decided(decision_id="d-2"), reservations=(pieces, money))
    with pytest.raises(Conflict) as caught:
        write(ledger, decided(decision_id="d-3"), reservations=(pieces, money))
    assert caught.value.exhausted == {"pieces", "money"}
    assert ledger.decision("d-3") is None
    assert ledger.used(["pieces", "money", "other"]) == {"pieces": Used(10, 2), "money": Used(10, 2)}
    with pytest.raises(Conflict) as caught:
        write(ledger, decided(decision_id="d-3"), reservations=(structs.replace(pieces, limit_count=9), money))
    assert caught.value.exhausted == {"money"}


def test_a_decision_that_is_refused_takes_nothing_of_other_budgets(ledger: Ledger) -> None:
    with pytest.raises(Conflict):
        write(ledger, decided(), reservations=(Reservation("open", 5, None, None), Reservation("shut", 5, 4, None)))
    assert ledger.used(["open", "shut"]) == {}


def test_what_is_at_stake_must_fit_and_is_not_taken(ledger: Ledger) -> None:
    drawn, other = Reservation("drawn", 5, None, None), Reservation("other", 7, 10, None)
    ledger.record_decision(decided(), (drawn,), at_stake=(drawn, other), seen_version=0)
    assert ledger.used(["drawn", "other"]) == {"drawn": Used(5, 1)}
    write(ledger, decided(decision_id="d-2", customer_id="c-2"), reservations=(other,))
    with pytest.raises(Conflict) as caught:
        ledger.record_decision(decided(decision_id="d-3", customer_id="c-3"), (), at_stake=(other,), seen_version=0)
    assert caught.value.exhausted == {"other"}
    assert ledger.decision("d-3") is None


def test_an_unknown_customer_has_empty_fields(ledger: Ledger) -> None:
    assert ledger.customer("nobody") == Customer("nobody")


def test_a_customer_is_the_sum_of_her_outcomes(ledger: Ledger) -> None:
    new = ledger.record_outcomes(
        [
            bought(NOW, revenue=50.0),
            bought(NOW - DAY, "o-3", 20.5),
            refunded(NOW + DAY, revenue=10.25),
            outcome("Unsubscribed", NOW, channel="sms"),
            outcome("Page Viewed", NOW, customer_id="c-2"),
        ],
        now=NOW,
    )
    assert new == 5
    assert ledger.customer("c-1") == Customer(
        "c-1", 2, 1, 60_250_000, NOW - DAY, NOW, consent={"sms": Consent(False, NOW)}
    )
    assert ledger.customer("c-2") == Customer("c-2")


def test_contacts_are_treatments_newest_first(ledger: Ledger) -> None:
    write(
        ledger,
        decided(decision_id="d-1", at=NOW - 2 * DAY),
        decided(CONTROL, decision_id="d-2", at=NOW - DAY),
        decided(decision_id="d-3"),
        decided(decision_id="d-4", customer_id="c-2"),
    )
    assert ledger.customer("c-1").contacts == (NOW, NOW - 2 * DAY)
    assert ledger.customer("c-1", contacts_since=NOW - 2 * DAY).contacts == (NOW,)
    assert ledger.customer("c-1", contacts_since=NOW).version == ledger.customer("c-1").version


def test_an_outcome_told_twice_counts_once(ledger: Ledger) -> None:
    one = bought(NOW, message_id="m")
    assert ledger.record_outcomes([one, one], now=NOW) == 1
    assert ledger.record_outcomes([one, bought(NOW, "o-3", message_id="n")], now=NOW) == 1
    assert ledger.record_outcomes([], now=NOW) == 0
    assert ledger.customer("c-1").orders == 2
    assert ledger.counts()["outcomes"] == 2


def test_an_order_told_of_twice_counts_once(ledger: Ledger) -> None:
    parcels = [refunded(NOW + n * SECOND, revenue=5.0) for n in (1, 2, 3)]
    assert ledger.record_outcomes([bought(NOW), bought(NOW + DAY), *parcels], now=NOW) == 5
    assert ledger.customer("c-1") == Customer("c-1", 1, 1, 35_000_000, NOW, NOW)
    ledger.record_outcomes([bought(NOW, customer_id="c-2")], now=NOW)
    assert ledger.customer("c-2").orders == 1, "another customer's order may have the same id"


def test_a_cancelled_order_is_as_if_it_had_never_been(ledger: Ledger) -> None:
    ledger.record_outcomes([bought(NOW - DAY, "o-1", 20.0), bought(NOW), refunded(NOW + SECOND)], now=NOW)
    assert ledger.customer("c-1") == Customer("c-1", 2, 1, 20_000_000, NOW - DAY, NOW)
    ledger.record_outcomes([outcome("Order Cancelled", NOW + DAY, order_id="o-2")], now=NOW)
    assert ledger.customer("c-1") == Customer("c-1", 1, 0, 20_000_000, NOW - DAY, NOW - DAY)


def test_outcomes_of_a_customer_in_a_window(ledger: Ledger) -> None:
    at = [outcome("Page Viewed", NOW + n * DAY, nested={"a": [1, None, "ü"]}) for n in (3, 1, 2, 0)]
    ledger.record_outcomes([*at, outcome("Page Viewed", NOW + DAY, customer_id="c-2")], now=NOW)
    found = ledger.outcomes_of("c-1", start=NOW, end=NOW + 2 * DAY)
    assert found == [at[1], at[2]], "the start is left out, the end is in, the oldest comes first"


def test_a_batch_of_outcomes_is_written_whole_or_not_at_all(ledger: Ledger) -> None:
    broken = outcome("Order Completed", NOW)  # has no revenue: no sum can be made of it
    with pytest.raises(KeyError):
        ledger.record_outcomes([bought(NOW), broken], now=NOW)
    assert ledger.counts()["outcomes"] == 0
    assert ledger.customer("c-1") == Customer("c-1")
    assert ledger.record_outcomes([bought(NOW)], now=NOW) == 1, "the ledger works on"


def test_touched_are_decisions_before_new_outcomes(ledger: Ledger) -> None:
    early, late, other = (
        decided(decision_id="d-1", at=NOW - DAY),
        decided(decision_id="d-2", at=NOW + DAY),
        decided(decision_id="d-3", customer_id="c-2", at=NOW - DAY),
    )
    write(ledger, early, late, other)
    ledger.record_outcomes([bought(NOW)], now=NOW)
    found, position = ledger.touched(after=0, limit=10)
    assert found == [early]
    assert ledger.touched(after=position, limit=10) == ([], position)
    ledger.record_outcomes([bought(NOW, "o-7"), bought(NOW + 2 * DAY, "o-8")], now=NOW)
    assert [d.decision_id for d in ledger.touched(after=position, limit=10)[0]] == ["d-1", "d-2"]
    found, first = ledger.touched(after=position, limit=1)
    assert [d.decision_id for d in found] == ["d-1"]
    assert [d.decision_id for d in ledger.touched(after=first, limit=1)[0]] == ["d-1", "d-2"]


def test_due_are_mature_decisions_without_a_final_reward(ledger: Ledger) -> None:
    write(ledger, decided(decision_id="d-1", at=NOW), decided(decision_id="d-2", at=NOW - DAY))
    ripe = NOW + 42 * DAY
    assert ledger.due(now=ripe - DAY - SECOND, limit=9) == []
    assert [d.decision_id for d in ledger.due(now=ripe - SECOND, limit=9)] == ["d-2"]
    assert [d.decision_id for d in ledger.due(now=ripe, limit=9)] == ["d-2", "d-1"]
    assert len(ledger.due(now=ripe, limit=1)) == 1
    ledger.record_rewards([reward("d-1"), reward("d-2", RewardStatus.FINAL)], [])
    assert [d.decision_id for d in ledger.due(now=ripe, limit=9)] == ["d-1"]


def test_the_latest_reward_counts_and_earlier_ones_stay(ledger: Ledger) -> None:
    write(ledger, decided())
    assert ledger.reward("d-1") is None
    first, second = reward(), reward(status=RewardStatus.FINAL, repurchased=False, value_micros=-5)
    ledger.record_rewards([first], [])
    ledger.record_rewards([second], [])
    assert ledger.reward("d-1") == second
    assert list(ledger.rewarded()) == [Rewarded(decided(), second)]
    assert [row["value_micros"] for row in ledger.rows("rewards")] == [20_000_000, -5]


def test_a_settlement_replaces_what_was_reserved(ledger: Ledger) -> None:
    write(ledger, decided(), reservations=(Reservation("a", 500, None, None), Reservation("b", 500, None, 3)))
    write(ledger, decided(decision_id="d-2"), reservations=(Reservation("a", 70, None, None),))
    ledger.record_rewards([reward()], [Settlement("d-1", 300, keep_count=True)])
    assert ledger.used("ab") == {"a": Used(370, 2), "b": Used(300, 1)}
    ledger.record_rewards([reward()], [Settlement("d-1", 300, keep_count=True)])
    assert ledger.used("ab") == {"a": Used(370, 2), "b": Used(300, 1)}, "settling twice changes nothing"
    ledger.record_rewards([reward()], [Settlement("d-1", 20, keep_count=False)])
    assert ledger.used("ab") == {"a": Used(90, 1), "b": Used(20, 0)}
    ledger.record_rewards([], [Settlement("d-9", 7, keep_count=True)])
    assert ledger.used("ab") == {"a": Used(90, 1), "b": Used(20, 0)}


def test_expired_are_offers_that_still_hold_budgets(ledger: Ledger) -> None:
    write(ledger, decided(), reservations=(Reservation("a", 500, None, None), Reservation("b", 500, None, None)))
    write(ledger, decided(decision_id="d-2"))
    end = NOW + 28 * DAY
    assert ledger.expired(now=end - SECOND, limit=9) == []
    assert [d.decision_id for d in ledger.expired(now=end, limit=9)] == ["d-1"]
    ledger.close_reservations([Settlement("d-1", 0, keep_count=False)])
    assert ledger.expired(now=end, limit=9) == []
    assert ledger.used("ab") == {"a": Used(0, 0), "b": Used(0, 0)}
    ledger.record_rewards([reward()], [Settlement("d-1", 40, keep_count=True)])
    assert ledger.used("a") == {"a": Used(40, 1)}, "a redemption that is heard of late is still spent"


def test_cursors_start_at_zero_and_move(ledger: Ledger) -> None:
    assert ledger.cursor("x") == 0
    ledger.move_cursor("x", 7)
    ledger.move_cursor("y", 1)
    assert (ledger.cursor("x"), ledger.cursor("y"), ledger.cursor("z")) == (7, 1, 0)


def test_finished_are_decisions_of_a_time_with_a_final_reward(ledger: Ledger) -> None:
    write(
        ledger,
        decided(decision_id="b", at=NOW),
        decided(decision_id="a", at=NOW + SECOND),
        decided(decision_id="c", at=NOW + DAY),
        decided(decision_id="d", at=NOW - SECOND),
        decided(decision_id="e", at=NOW + SECOND),
    )
    final = [reward(decision_id, RewardStatus.FINAL) for decision_id in "abcd"]
    ledger.record_rewards([*final, reward("e")], [])
    ledger.record_rewards([replace(final[0], value_micros=7)], [])
    found = ledger.finished(start=NOW, end=NOW + DAY)
    assert [(row.decision.decision_id, row.reward.value_micros) for row in found] == [("a", 7), ("b", 20_000_000)]


def test_unfinished_are_decisions_whose_reward_is_not_final_with_what_happened_so_far(ledger: Ledger) -> None:
    write(ledger, *(decided(decision_id=d, at=NOW + n * DAY) for n, d in enumerate("dcba")))
    so_far = reward("b", first_order_at=NOW + 3 * DAY)
    ledger.record_rewards([reward("c", RewardStatus.FINAL), reward("b"), so_far], [])
    assert [(d.decision_id, r) for d, r in ledger.unfinished(start=NOW + SECOND)] == [("a", None), ("b", so_far)]
    assert [d.decision_id for d, _ in ledger.unfinished(start=NOW)] == ["a", "b", "d"]


def test_waits_are_those_of_who_came_back_by_final_rewards(ledger: Ledger) -> None:
    write(ledger, *(decided(decision_id=d, at=NOW) for d in "abcd"), decided(decision_id="e", at=NOW + DAY))
    final = {"a": NOW + DAY, "b": None, "e": NOW + 3 * DAY}
    rewards = [reward(d, RewardStatus.FINAL, first_order_at=at) for d, at in final.items()]
    ledger.record_rewards([*rewards, reward("c", first_order_at=NOW + DAY)], [])
    assert ledger.waits(start=NOW, end=NOW + DAY) == [DAY]
    assert sorted(ledger.waits(start=NOW, end=NOW + 2 * DAY)) == [DAY, 2 * DAY]
    # A refund took the order back: the last word counts.
    ledger.record_rewards([reward("a", RewardStatus.FINAL, repurchased=False)], [])
    assert ledger.waits(start=NOW, end=NOW + DAY) == []


def test_revised_are_rewards_that_became_final_or_changed_their_word(ledger: Ledger) -> None:
    write(ledger, *(decided(decision_id=f"d-{n}", at=NOW + n * DAY) for n in range(4)))
    assert ledger.revised_since(0, start=NOW) == (None, 0)
    ledger.record_rewards([reward("d-0")], [])
    nothing, position = ledger.revised_since(0, start=NOW)
    assert nothing is None, "what is provisional teaches nothing"
    ledger.record_rewards([reward(f"d-{n}", RewardStatus.FINAL) for n in (2, 1)], [])
    since, position = ledger.revised_since(position, start=NOW)
    assert since == NOW + DAY
    assert ledger.revised_since(position, start=NOW) == (None, position)
    ledger.record_rewards([reward("d-2", RewardStatus.FINAL, value_micros=1)], [])
    nothing, position = ledger.revised_since(position, start=NOW)
    assert nothing is None, "the bandit learns from the repurchase alone"
    for repurchased in (False, True):
        ledger.record_rewards([reward("d-2", RewardStatus.FINAL, repurchased=repurchased)], [])
        since, position = ledger.revised_since(position, start=NOW)
        assert since == NOW + 2 * DAY
    ledger.record_rewards([reward("d-1", RewardStatus.FINAL, repurchased=False)], [])
    assert ledger.revised_since(position, start=NOW + 2 * DAY)[0] is None, "decided before what is asked for"


def test_past_decisions_are_imported_once(ledger: Ledger) -> None:
    past = [Rewarded(decided(decision_id=f"t-{n}", customer_id=f"c-{n}"), reward(f"t-{n}")) for n in range(1_201)]
    assert ledger.import_decisions(iter(past)) == 1_201
    changed = replace(past[0], reward=reward("t-0", value_micros=1))
    assert ledger.import_decisions([changed, Rewarded(decided(decision_id="t-x"), reward("t-x"))]) == 1
    assert next(iter(ledger.rewarded())) == past[0]
    assert ledger.due(now=NOW + 999 * DAY, limit=9) == [], "what is imported is finished"


def test_beliefs_are_appended(ledger: Ledger) -> None:
    assert ledger.posterior("v1") is None
    for n, version in enumerate(["v1", "v2", "v1"]):
        ledger.record_posterior(PosteriorRecord(version, 0, NOW + n * DAY, n, bytes([n, 0, 255])))
    latest = ledger.posterior("v1")
    assert latest is not None
    assert latest == PosteriorRecord("v1", latest.sequence, NOW + 2 * DAY, 2, bytes([2, 0, 255]))
    assert ledger.posterior("v1", after=latest.sequence) is None
    assert ledger.posterior("v1", after=latest.sequence - 1) == latest


def test_prices_are_appended_and_the_latest_is_in_force(ledger: Ledger) -> None:
    assert ledger.shadow_price("a") is None
    first = PriceRecord("a|2026-03-01", NOW, Price(0.5, 0.0), Used(micros(12.5), 3))
    other = PriceRecord("ab|2026-03-04", NOW + DAY, Price(0.1, 7.25), Used())
    ledger.record_shadow_prices([first, other])
    assert (ledger.shadow_price("a"), ledger.shadow_price("ab")) == (first, other)
    later = replace(first, budget_key="a|2026-04-01", price=Price(1 / 3, 0.0))
    ledger.record_shadow_prices([later])
    assert (ledger.shadow_price("a"), ledger.shadow_price("ab")) == (later, other)


def test_promotions_come_back_in_order(ledger: Ledger) -> None:
    assert ledger.promotions() == []
    changes = [
        Promotion("v1", "promote", "first", ("lower bound 0.3 clears 0", "ünï"), NOW),
        Promotion("v2", "promote", "", (), NOW - DAY),
        Promotion("v1", "rollback", "returns rise", (), NOW),
    ]
    for change in changes:
        ledger.record_promotion(change)
    assert ledger.promotions() == changes


def test_counts_and_rows_for_export(ledger: Ledger) -> None:
    write(ledger, decided())
    ledger.record_outcomes([bought(NOW)], now=NOW)
    ledger.record_rewards([reward()], [])
    assert {t: ledger.counts()[t] for t in ("decisions", "outcomes", "rewards")} == dict.fromkeys(
        ("decisions", "outcomes", "rewards"), 1
    )
    (row,) = ledger.rows("decisions")
    assert (row["decision_id"], row["propensity"], row["action_id"]) == ("d-1", 0.5, "discount@on_page")
    assert next(ledger.rows("outcomes"))["name"] == "Order Completed"
    assert next(ledger.rows("rewards"))["revenue_micros"] == 50_000_000


KEY = ApiKey("abcdefgh", "till 7", Role.CHECKOUT, "5" * 64, NOW)


def test_keys_come_back_as_they_were_and_end_once(ledger: Ledger) -> None:
    assert ledger.api_keys() == []
    later = replace(KEY, key_id="aaaaaaaa", created_at=NOW + SECOND, role=Role.ADMIN)
    for key in (KEY, later):
        ledger.record_key(key, actor="anna")
    assert ledger.api_keys() == [KEY, later]
    assert ledger.revoke_key(KEY.key_id, actor="bert", now=NOW + DAY) == KEY
    ended = replace(KEY, revoked_at=NOW + DAY)
    assert ledger.api_keys() == [ended, later]
    assert ledger.revoke_key(KEY.key_id, actor="bert", now=NOW + 2 * DAY) == ended
    assert ledger.api_keys() == [ended, later]
    detail = {"key": "abcdefgh", "name": "till 7", "role": "checkout"}
    assert ledger.acts() == [
        Act(NOW, "anna", "key created", detail),
        Act(NOW + SECOND, "anna", "key created", detail | {"key": "aaaaaaaa", "role": "admin"}),
        Act(NOW + DAY, "bert", "key revoked", detail),
    ]


def test_what_was_not_done_is_not_in_the_audit_log(ledger: Ledger) -> None:
    ledger.record_key(KEY, actor="anna")
    with pytest.raises(LedgerError):
        ledger.record_key(replace(KEY, name="another"), actor="anna")
    with pytest.raises(NotFound, match="'zzzzzzzz'"):
        ledger.revoke_key("zzzzzzzz", actor="anna", now=NOW)
    assert ledger.api_keys() == [KEY]
    assert len(ledger.acts()) == 1


def test_a_change_of_champion_is_an_act_of_who_made_it(ledger: Ledger) -> None:
    ledger.record_promotion(Promotion("v1", "promote", "forced: a hunch", ("Keep.",), NOW), actor="anna")
    ledger.record_promotion(Promotion("none", "rollback", "worse", (), NOW + DAY))
    assert ledger.acts() == [
        Act(NOW, "anna", "promote", {"bundle": "v1", "reason": "forced: a hunch"}),
        Act(NOW + DAY, "encore", "rollback", {"bundle": "none", "reason": "worse"}),
    ]


def test_an_act_comes_back_as_it_was(ledger: Ledger) -> None:
    act = Act(NOW + timedelta(microseconds=1), "ünï", "upgrade", {"steps": "m004"})
    ledger.record_act(act)
    assert ledger.acts() == [act]


def test_its_pulse_tells_what_was_written_and_what_waits(ledger: Ledger) -> None:
    assert ledger.pulse(cursor="rewards", bundle_version="v1").waiting_since is None
    ledger.record_decision(decided(), (), seen_version=0)
    ledger.record_outcomes([bought(NOW)], now=NOW)
    ledger.record_outcomes([bought(NOW - DAY, "o-3")], now=NOW + SECOND)
    ledger.record_posterior(PosteriorRecord("v1", 0, NOW - DAY, 1, b"x"))
    ledger.record_posterior(PosteriorRecord("v1", 0, NOW, 2, b"x"))
    before = ledger.pulse(cursor="rewards", bundle_version="v1")
    assert (before.decisions, before.outcomes, before.waiting_since, before.learned_through) == (1, 2, NOW, NOW)
    assert before.size_bytes > 0
    for position, waiting in ((1, NOW + SECOND), (2, None)):
        ledger.move_cursor("rewards", position)
        assert ledger.pulse(cursor="rewards", bundle_version="v1").waiting_since == waiting
    assert ledger.pulse(cursor="rewards", bundle_version="v2").learned_through is None
