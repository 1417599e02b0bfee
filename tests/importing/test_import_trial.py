import csv
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision.errors import IdempotencyMismatch, NotEnoughData
from decision.records import Customer, DecisionRequest, Group, Order, RewardStatus
from decision.stages import context
from decision.stages.guardrails import reach_of
from experiments.importing.srm import SampleRatioMismatch
from experiments.importing.trial import SRM_ACCEPTED

BERLIN_MIDNIGHT = datetime(2026, 2, 28, 23, 0, tzinfo=UTC)


def test_a_row_becomes_a_decision_with_the_odds_of_the_design(shop, fair):
    receipt = shop.trial(*fair(5))
    assert (receipt.rows, receipt.new, receipt.known, receipt.rejected) == (15, 15, 0, {})
    decision = shop.ledger.decision("trial:spring:3")
    assert decision.customer_id == "ten0"
    assert decision.group is Group.RANDOM
    assert decision.policy_version == "trial:spring"
    assert decision.imported
    assert decision.allowed == ("control", "thank_you@email", "discount_10@email")
    assert decision.distribution == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert decision.action_id == "discount_10@email"
    assert decision.propensity == decision.distribution[2]
    assert decision.decided_at == BERLIN_MIDNIGHT
    assert decision.matures_at == BERLIN_MIDNIGHT + timedelta(days=10)
    assert (decision.expires_at, decision.predictions, decision.contact_cost_micros) == (None, {}, 20_000)


def test_the_context_has_the_keys_of_a_served_one_and_what_the_trial_does_not_tell_is_unknown(shop, fair):
    shop.trial(*fair(1))
    logged = shop.ledger.decision("trial:spring:1").context
    request = DecisionRequest("d", "c", "purchase", Order("o", 1), "online", "", {"age": 30.0, "tier": "gold"})
    reach = reach_of(shop.programme, request, Customer("c"), now=BERLIN_MIDNIGHT)
    served = context.build(request, Customer("c"), reach, programme=shop.programme, now=BERLIN_MIDNIGHT)
    assert list(logged) == list(served)
    told = {"trigger": "purchase", "store": "online", "age": 30.0, "tier": "gold"}
    assert {key: value for key, value in logged.items() if value is not None} == told


def test_a_reward_is_worth_what_the_goal_says_minus_contact_and_redemption(shop):
    shop.trial("a,ten,30,gold,1,1,50.00,1", "b,thanks,30,gold,1,0,0,0", "c,none,30,gold,0,0,0,0")
    used, visited, nothing = (shop.ledger.reward(f"trial:spring:{row}") for row in (1, 2, 3))
    # 0.40 margin on 50 + 0.50 a visit - 0.02 contact - (0.30 + 10 % of 50) redemption
    assert (used.revenue_micros, used.margin_micros, used.cost_micros) == (50_000_000, 20_000_000, 5_320_000)
    assert used.value_micros == 20_000_000 + 500_000 - 5_320_000
    assert used.redeemed
    assert used.status is RewardStatus.FINAL
    assert (visited.value_micros, visited.visited, visited.repurchased) == (480_000, True, False)
    assert (nothing.value_micros, nothing.visited) == (0, False)


def test_the_goal_is_that_of_the_row_s_store(shop, trial_mapping):
    mapping = trial_mapping.replace('store = "online"', 'store_column = "tier"').replace('tier = "tier"', "")
    receipt = shop.trial(
        "a,none,30,hamburg,1,1,10,0", "b,thanks,30,,0,0,0,0", "c,ten,30,paris,0,0,0,0", mapping=mapping
    )
    assert receipt.rejected == {"unknown store in 'tier'": 1}
    assert shop.ledger.decision("trial:spring:1").context["region"] == "north"
    assert shop.ledger.reward("trial:spring:1").value_micros == 4_000_000 + 500_000 + 2_000_000
    assert shop.ledger.decision("trial:spring:2").store is None


def test_a_margin_column_takes_the_place_of_the_programme_s_share(shop, trial_mapping):
    mapping = trial_mapping.replace('tier = "tier"', "").replace('redeemed = "used"', 'margin = "tier"')
    shop.trial("a,none,30,-1.25,1,1,10,0", "b,thanks,30,2,1,1,10,0", mapping=mapping)
    assert shop.ledger.reward("trial:spring:1").margin_micros == -1_250_000
    assert shop.ledger.reward("trial:spring:1").value_micros == -750_000


def test_an_order_is_a_visit_and_the_only_one_where_visits_were_not_observed(shop, trial_mapping):
    mapping = trial_mapping.replace('visited = "visit"', "")
    shop.trial("a,none,30,gold,1,0,0,0", "b,thanks,30,gold,0,1,10,0", mapping=mapping)
    assert not shop.ledger.reward("trial:spring:1").visited
    assert shop.ledger.reward("trial:spring:2").visited


def test_spend_that_was_summed_in_binary_loses_only_its_crumbs(shop):
    shop.trial("a,none,30,gold,1,1,142.44000000000003,0", "b,thanks,,,0,0,0,0")
    assert shop.ledger.reward("trial:spring:1").revenue_micros == 142_440_000


def test_arms_with_the_same_action_add_up_and_unequal_odds_are_kept(shop, trial_mapping):
    mapping = trial_mapping.replace("thank_you@email", "discount_10@email")
    mapping += "[design]\nnone = 0.5\nthanks = 0.2\nten = 0.3\n"
    shop.trial("a,none,,,0,0,0,0", "b,thanks,,,0,0,0,0", mapping=mapping)
    decision = shop.ledger.decision("trial:spring:2")
    assert decision.allowed == ("control", "discount_10@email")
    assert decision.distribution == pytest.approx((0.5, 0.5))
    assert decision.propensity == pytest.approx(0.5)


REJECTED = [
    ("a,four,30,gold,0,0,0,0", "unknown arm in 'arm'"),
    ("a,,30,gold,0,0,0,0", "unknown arm in 'arm'"),
    (" ,none,30,gold,0,0,0,0", "no customer id"),
    ("a,none,old,gold,0,0,0,0", "not a number in 'years'"),
    (f"a,none,30,{'x' * 201},0,0,0,0", "more than 200 characters in 'tier'"),
    ("a,none,30,gold,2,0,0,0", "not 0 or 1 in 'visit'"),
    ("a,none,30,gold,0,,0,0", "no value in 'bought'"),
    ("a,none,30,gold,0,1,,0", "no value in 'spend'"),
    ("a,none,30,gold,0,1,much,0", "not a number in 'spend'"),
    ("a,none,30,gold,0,1,-5,0", "negative or impossible amount in 'spend'"),
    ("a,none,30,gold,0,1,1e30,0", "negative or impossible amount in 'spend'"),
    ("a,none,30,gold,0,0,5,0", "revenue in 'spend' without a repurchase in 'bought'"),
    ("a,none,30,gold,0,0", "not 8 columns"),
]


@pytest.mark.parametrize(("row", "reason"), REJECTED)
def test_a_row_that_can_t_be_used_is_counted_under_its_reason_and_kept_as_it_came(shop, fair, row, reason):
    good = fair(2)
    receipt = shop.trial(*good[:3], row, *good[3:])
    assert receipt.rejected == {reason: 1}
    assert (receipt.rows, receipt.new) == (7, 6)
    with receipt.rejects_path.open(newline="") as file:
        header, rejected = csv.reader(file)
    assert header == ["row", "reason", "who", "arm", "years", "tier", "visit", "bought", "spend", "used"]
    number, told, *cells = rejected
    assert (number, cells) == ("4", row.split(","))
    assert told == reason or told.startswith(f"{reason}: expected ")
    assert shop.ledger.decision("trial:spring:4") is None
    assert shop.ledger.decision("trial:spring:5").customer_id == "none1"


def test_a_window_that_is_not_over_and_a_time_that_can_t_be_read_are_reasons(shop, trial_mapping):
    mapping = trial_mapping.replace("decided_at = 2026-03-01", 'decided_at = "tier"').replace('tier = "tier"', "")
    lines = ["a,none,30,2026-10-30,0,0,0,0", "b,none,30,soon,0,0,0,0", "c,none,30,9999-12-31,0,0,0,0"]
    receipt = shop.trial(*lines, "d,thanks,30,2026-10-01T08:00:00Z,0,0,0,0", mapping=mapping)
    assert receipt.rejected == {
        "its attribution window is not over": 1,
        "no readable time in 'tier'": 1,
        "no readable time of the decision": 1,
    }
    assert shop.ledger.decision("trial:spring:4").decided_at == datetime(2026, 10, 1, 8, tzinfo=UTC)


def test_an_import_without_rejects_removes_the_rejects_of_an_earlier_one(shop, fair):
    shop.trial(*fair(2), "a,four,30,gold,0,0,0,0")
    assert shop.rejects.exists()
    assert shop.trial(*fair(2)).rejects_path is None
    assert not shop.rejects.exists()


def test_identical_rows_without_a_customer_id_are_different_customers(shop, trial_mapping):
    rows = ["x,none,30,gold,0,0,0,0", "x,none,30,gold,0,0,0,0", "x,ten,30,gold,0,0,0,0"]
    receipt = shop.trial(*rows, mapping=trial_mapping.replace('customer_id = "who"', ""))
    assert receipt.new == 3
    assert [shop.ledger.decision(f"trial:spring:{row}").customer_id for row in (1, 2)] == ["spring-1", "spring-2"]


def test_a_second_import_changes_nothing_and_says_so(shop, fair):
    shop.trial(*fair(4), "a,four,30,gold,0,0,0,0")
    before = {table: list(shop.ledger.rows(table)) for table in ("decisions", "rewards", "outcomes")}
    receipt = shop.trial(*fair(4), "a,four,30,gold,0,0,0,0")
    assert (receipt.new, receipt.known, sum(receipt.rejected.values())) == (0, 12, 1)
    assert {table: list(shop.ledger.rows(table)) for table in before} == before


def test_another_trial_under_the_same_name_is_refused(shop, fair):
    shop.trial(*fair(2))
    with pytest.raises(IdempotencyMismatch, match="another name than 'spring'"):
        shop.trial(*reversed(fair(2)))
    assert shop.ledger.counts()["decisions"] == 6


def test_an_arm_that_lost_customers_is_refused_with_counts_and_nothing_is_written(shop, fair):
    rows = [row for row in fair(100) if not (row.startswith("ten") and row[3] in "123456")]
    with pytest.raises(SampleRatioMismatch, match=r"sample-ratio mismatch .*ten expected 78.0, found 34.*--accept-srm"):
        shop.trial(*rows)
    assert shop.ledger.counts()["decisions"] == 0


def test_a_mismatch_that_is_accepted_stays_written_on_every_decision(shop, fair):
    rows = [row for row in fair(100) if not (row.startswith("ten") and row[3] in "123456")]
    receipt = shop.trial(*rows, accept_srm="the agency lost a list")
    assert receipt.arms.mismatch
    reasons = dict(shop.ledger.decision("trial:spring:1").reasons)
    assert reasons[SRM_ACCEPTED].startswith("the agency lost a list (p = ")


def test_a_reason_to_accept_a_mismatch_is_not_written_where_there_is_none(shop, fair):
    shop.trial(*fair(3), accept_srm="just in case")
    assert SRM_ACCEPTED not in dict(shop.ledger.decision("trial:spring:1").reasons)


def test_rows_rejected_in_one_arm_only_are_a_mismatch_too(shop, fair):
    rows = [row.replace(",gold,0,0,0,0", ",gold,0,0,,0") if row.startswith("ten") else row for row in fair(60)]
    with pytest.raises(SampleRatioMismatch, match=r"ten expected 40\.0, found 0"):
        shop.trial(*rows)


def test_a_file_of_which_nothing_can_be_used_is_refused_with_the_reasons(shop):
    with pytest.raises(NotEnoughData, match=r"found none of 2\. 2: unknown arm in 'arm'"):
        shop.trial("a,x,,,0,0,0,0", "b,y,,,0,0,0,0")


cells = st.sampled_from(["", "none", "thanks", "ten", "0", "1", "5.5", "-1", "x", "a"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.lists(cells, min_size=7, max_size=9), max_size=12), data=st.data())
def test_whatever_the_rows_are_the_counts_add_up(shop, fair, rows, data):
    lines = ["z," + ",".join(row) for row in rows]
    mixed = data.draw(st.permutations([*lines, *fair(4)]))
    receipt = shop.trial(*mixed, mapping=TRIAL.replace("spring", f"t{next(FRESH)}"), accept_srm="made up")
    assert receipt.rows == len(mixed) == receipt.new + receipt.known + sum(receipt.rejected.values())
    assert sum(receipt.arms.found.values()) == receipt.new + receipt.known


FRESH = count()
TRIAL = """
[trial]
name = "spring"
decided_at = 2026-03-01
trigger = "return"
[arms]
column = "arm"
none = "control"
thanks = "thank_you@email"
ten = "discount_10@email"
[features]
age = "years"
[outcomes]
repurchased = "bought"
revenue = "spend"
"""
