from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import NormalDist, fmean

import msgspec
import numpy as np
import pytest
from msgspec import structs

from decision.api.decisions import read_question
from decision.api.schemas import DecisionQuestion
from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.observe import outcome_of
from decision.money import MICROS
from decision.programme.model import Programme
from decision.programme.read import parse_programme
from decision.records import CONTROL, Customer, Decision, Group, Outcome, Reward, RewardStatus
from decision.stages import eligibility, guardrails
from decision.stages.context import check_features
from decision.stages.events import NAMES, ORDER_COMPLETED, ORDER_REFUNDED, UNSUBSCRIBED
from decision.stages.rewards import reward_of
from experiments.shop import PROGRAMME, Arrival, Kind, Luck, Shop, Truth, constant_values, shop_programme

START = date(2026, 1, 5)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def opened(*, seed: int = 7, customers: int = 12_000) -> Shop:
    return Shop.open(shop_programme(), seed=seed, customers=customers, start=START)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return opened()


@pytest.fixture(scope="module")
def month(shop: Shop) -> list[Arrival]:
    return [arrival for day in range(30) for arrival in shop.arrivals(day)]


@pytest.fixture(scope="module")
def truth(shop: Shop, month: list[Arrival]) -> Truth:
    return shop.truth(month)


def decided(arrival: Arrival, action_id: str, programme: Programme) -> Decision:
    action = programme.action(action_id)
    return Decision(
        decision_id=arrival.decision_id,
        customer_id=arrival.customer_id,
        trigger=arrival.trigger,
        store=arrival.store,
        order_id=arrival.order_id,
        decided_at=arrival.at,
        group=Group.RANDOM,
        action_id=action_id,
        propensity=0.05,
        policy_version="business_as_usual",
        allowed=(CONTROL, action_id),
        distribution=(0.95, 0.05),
        context={},
        predictions={},
        rejected=(),
        reasons=(),
        expires_at=programme.expires_at(action, arrival.at),
        matures_at=programme.matures_at(arrival.at),
        contact_cost_micros=programme.contact_cost_micros(action),
        fingerprint="",
        coupon=None if action.is_control else "COUPON",
        redemption_cost_micros=programme.cost_of(action).on_redemption_micros,
        redemption_share=programme.cost_of(action).share_of_basket,
    )


def lived(shop: Shop, arrival: Arrival, action_id: str) -> tuple[list[Outcome], Reward]:
    decision = decided(arrival, action_id, shop.programme)
    outcomes = shop.outcomes(arrival, decision)
    return outcomes, reward_of(decision, outcomes, programme=shop.programme, now=LATER)


def stratified_luck(rng: np.random.Generator, n: int) -> list[Luck]:
    rows = (np.array([rng.permutation(n) for _ in Luck._fields]).T + rng.random((n, len(Luck._fields)))) / n
    return [Luck(NormalDist().inv_cdf(row[0]), *row[1:]) for row in rows.tolist()]


def batch_means(shop: Shop, arrival: Arrival, action_id: str, luck: list[Luck]) -> dict[str, float]:
    rewards = [lived(shop, replace(arrival, luck=one), action_id)[1] for one in luck]
    back = [reward for reward in rewards if reward.repurchased]
    profit = [reward.margin_micros - reward.cost_micros for reward in rewards]
    value = [reward.value_micros for reward in rewards]
    return {
        "value": fmean(value) / MICROS,
        "cost": fmean(reward.cost_micros for reward in rewards) / MICROS,
        "beyond_profit": (fmean(value) - fmean(profit)) / MICROS,
        "visit": fmean(reward.visited for reward in rewards),
        "repurchase": fmean(reward.repurchased for reward in rewards),
        "basket": fmean(reward.revenue_micros for reward in back) / MICROS,
        "redemption": fmean(reward.redeemed for reward in back),
    }


def test_the_programme_has_twenty_actions_and_says_that_it_is_simulated(shop: Shop) -> None:
    programme = shop.programme
    assert len(programme.actions) == 20
    assert "thank_you@on_page" not in shop.column
    assert programme.simulated
    assert len(programme.stores) == 3
    assert len({store.region for store in programme.stores.values()}) == 2
    assert [name for name, store in programme.stores.items() if store.goal != programme.goal] == ["munich"]


def test_the_same_seed_gives_the_same_world_in_any_order_of_days(shop: Shop) -> None:
    again = opened()
    later, sooner = again.arrivals(9), again.arrivals(3)
    assert sooner == shop.arrivals(3)
    assert later == shop.arrivals(9)
    arrival = sooner[0]
    np.testing.assert_array_equal(again.truth(sooner).value, shop.truth(sooner).value)
    assert lived(again, arrival, "bogo@email") == lived(shop, arrival, "bogo@email")


def test_another_seed_gives_another_world(shop: Shop) -> None:
    other = opened(seed=8)
    assert not np.array_equal(other.nature.weights, shop.nature.weights)
    assert other.arrivals(3) != shop.arrivals(3)
    assert not {a.customer_id for a in other.arrivals(3)} & {a.customer_id for a in shop.arrivals(3)}


def test_an_offer_more_leaves_the_truth_of_the_others_as_it_was(shop: Shop) -> None:
    text = PROGRAMME.read_text().replace(
        "[offers.bogo]",
        '[offers.discount_10]\nkind = "percent_discount"\npercent = 10\nchannels = ["email", "sms"]\n'
        "cost.share_of_basket = 0.10\n\n[offers.bogo]",
    )
    wider = Shop.open(parse_programme(text), seed=7, customers=12_000, start=START)
    assert len(wider.column) == 22
    one, other = shop.truth(shop.arrivals(0)), wider.truth(wider.arrivals(0))
    kept = [wider.column[action_id] for action_id in one.actions]
    np.testing.assert_array_equal(other.value[:, kept], one.value)


def test_arrivals_are_as_many_as_asked_for_and_come_in_order(shop: Shop, month: list[Arrival]) -> None:
    # 6,000 expected; each of 12,000 customers comes or not with probability 1/2: standard deviation 55.
    assert abs(len(month) - 6_000) < 4 * 55
    assert all(a.at <= b.at for a, b in pairwise(month))
    assert month[0].at.date() == START
    assert month[-1].at.date() == START + timedelta(days=29)
    share = Counter(arrival.trigger for arrival in month)["return"] / len(month)
    assert share == pytest.approx(0.25, abs=4 * 0.006)
    assert len({arrival.decision_id for arrival in month}) == len(month)


def test_no_customer_has_two_triggers_within_thirty_days(shop: Shop) -> None:
    last: dict[str, int] = {}
    for day in range(100):
        for arrival in shop.arrivals(day):
            assert day - last.get(arrival.customer_id, -1_000) >= 30
            last[arrival.customer_id] = day


def test_more_triggers_than_the_window_allows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="1/30"):
        Shop.open(shop_programme(), seed=1, customers=10, start=START, rate=0.1)
    with pytest.raises(InvalidInput, match="at least one customer"):
        Shop.open(shop_programme(), seed=1, customers=0, start=START)


def test_an_offer_that_ends_inside_the_window_is_refused() -> None:
    text = PROGRAMME.read_text().replace("buy = 1", "buy = 1\nvalidity_days = 5")
    with pytest.raises(InvalidInput, match="found bogo"):
        Shop.open(parse_programme(text), seed=1, customers=10, start=START)


def test_features_are_of_their_declared_types_and_some_are_missing(shop: Shop, month: list[Arrival]) -> None:
    for arrival in month[:1_000]:
        assert check_features(arrival.features, shop.programme.features) == arrival.features
        assert arrival.features.keys() == shop.programme.features.keys()
    missing = Counter(name for a in month for name, value in a.features.items() if value is None)
    assert 0.05 < missing["age_years"] / len(month) < 0.11
    assert 0.05 < missing["discount_share"] / len(month) < 0.15
    assert missing["loyalty_tier"] == 0


def test_only_consent_that_the_programme_requires_is_sent(month: list[Arrival]) -> None:
    assert all(arrival.consent.keys() == {"sms"} for arrival in month)
    assert 0.65 < np.mean([arrival.consent["sms"] for arrival in month]) < 0.75


def test_the_body_is_read_at_the_door_as_the_request(shop: Shop, month: list[Arrival]) -> None:
    for arrival in month[:50]:
        body = msgspec.json.encode(shop.body(arrival))
        question = msgspec.json.decode(body, type=DecisionQuestion)
        decision_id = question.decision_id or ""
        read = read_question(question, decision_id=decision_id, fingerprint="", programme=shop.programme)
        assert structs.replace(read, fingerprint="") == structs.replace(shop.request(arrival), fingerprint="")
    assert shop.request(month[0]).fingerprint != shop.request(month[1]).fingerprint


def test_by_day_a_new_customer_with_consent_may_get_every_action(shop: Shop, month: list[Arrival]) -> None:
    arrival = next(a for a in month if a.at.hour == 12 and a.consent["sms"])
    request, customer = shop.request(arrival), Customer(arrival.customer_id)
    assert eligibility.assess(request, customer, shop.programme.eligibility) is None
    situation = guardrails.Situation(
        request=request,
        customer=customer,
        reach=guardrails.reach_of(shop.programme, request, customer, now=arrival.at),
        now=arrival.at,
        used={},
        exhausted=frozenset(),
    )
    purse = guardrails.Purse(
        shop.programme, store=request.store, basket_micros=request.order.total_micros, now=arrival.at
    )
    allowed, rejected = guardrails.apply(shop.programme, situation, purse)
    assert not rejected
    assert len(allowed.ids) == 20


@pytest.mark.parametrize(
    ("action_id", "trigger", "store"),
    [
        (CONTROL, "purchase", "hamburg"),
        (CONTROL, "purchase", "munich"),
        ("thank_you@sms", "purchase", "munich"),
        ("discount_15@email", "purchase", "berlin"),
        ("bogo@on_page", "return", "munich"),
        ("free_shipping@sms", "return", "munich"),
        ("double_points@web_push", "purchase", "hamburg"),
    ],
)
def test_the_truth_is_what_reward_of_gives_on_average(
    shop: Shop, month: list[Arrival], action_id: str, trigger: str, store: str
) -> None:
    """One customer lives the same decision 10,000 times; means lie within four standard errors of the truth.

    Forty independent Latin hypercubes of 250 lives; standard errors come from the forty means. `beyond_profit` is
    what visits and repurchases are worth: looked at alone, so that the noise of baskets does not hide a mistake.
    The allowance of 1e-5 is for amounts rounded to micros.
    """
    here = [a for a in month if (a.trigger, a.store) == (trigger, store)]
    odds = [a.chances.order[a.place, shop.column[action_id]] for a in here]
    arrival = here[int(np.argsort(odds)[int(0.8 * len(here))])]
    truth, k = shop.truth([arrival]), shop.column[action_id]
    revenue = truth.repurchase * truth.basket
    expected = {
        "value": truth.value,
        "cost": truth.cost,
        "beyond_profit": truth.value + truth.cost - shop.programme.gross_margin * revenue,
        "visit": truth.visit,
        "repurchase": truth.repurchase,
        "basket": truth.basket,
        "redemption": truth.redemption,
    }
    rng = np.random.default_rng(11)
    found = [batch_means(shop, arrival, action_id, stratified_luck(rng, 250)) for _ in range(40)]
    for name, array in expected.items():
        means = [batch[name] for batch in found]
        assert abs(np.mean(means) - array[0, k]) <= 4 * np.std(means, ddof=1) / np.sqrt(40) + 1e-5, name


def test_the_truth_holds_over_many_customers_and_actions(shop: Shop, month: list[Arrival], truth: Truth) -> None:
    chosen = [shop.programme.actions[i % 20].action_id for i in range(len(month))]
    found = [lived(shop, a, action_id)[1].value_micros / MICROS for a, action_id in zip(month, chosen, strict=True)]
    gap = np.array(found) - truth.value_of(chosen)
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


def test_all_four_kinds_of_people_exist(truth: Truth) -> None:
    shares = {kind: float(np.mean(truth.kinds() == kind.value)) for kind in Kind}
    assert min(shares.values()) > 0.03, shares
    assert sum(shares.values()) == pytest.approx(1.0)


def test_contact_pays_for_persuadables_only(truth: Truth) -> None:
    kinds, control = truth.kinds(), truth.value[:, 0]
    gain = {kind: (truth.value[:, 1:].mean(axis=1) - control)[kinds == kind.value].mean() for kind in Kind}
    assert gain[Kind.PERSUADABLE] > 0.3
    assert all(gain[kind] < 0.0 for kind in Kind if kind is not Kind.PERSUADABLE)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_there_is_something_to_learn(seed: int) -> None:
    shop = opened(seed=seed)
    values = constant_values(shop.truth([a for day in range(30) for a in shop.arrivals(day)]))
    assert values.best_constant > values.control + 0.15
    assert values.best_constant > values.uniform + 0.15
    assert values.oracle > 1.1 * values.best_constant
    assert values.oracle > values.business_as_usual > values.uniform


def test_free_shipping_works_better_after_a_return(month: list[Arrival], truth: Truth) -> None:
    after_return = np.array([arrival.trigger == "return" for arrival in month])
    k = truth.actions.index("free_shipping@email")
    uplift = truth.repurchase[:, k] - truth.repurchase[:, 0]
    assert uplift[after_return].mean() > uplift[~after_return].mean() + 0.01


def test_yardsticks_agree_with_the_arrays(month: list[Arrival], truth: Truth) -> None:
    values = constant_values(truth)
    everything = [truth.actions] * len(month)
    assert values.oracle == pytest.approx(truth.best_value(everything).mean())
    assert values.control == pytest.approx(truth.best_value([(CONTROL,)] * len(month)).mean())
    rule = ["thank_you@email" if a.trigger == "purchase" else "free_shipping@email" for a in month]
    assert values.business_as_usual == pytest.approx(truth.value_of(rule).mean())


def test_events_have_known_names_say_simulated_and_are_read_as_the_outcomes(shop: Shop, month: list[Arrival]) -> None:
    seen: Counter[str] = Counter()
    for i, arrival in enumerate(month[:2_000]):
        decision = decided(arrival, shop.programme.actions[i % 20].action_id, shop.programme)
        outcomes, events = shop.outcomes(arrival, decision), shop.events(arrival, decision)
        read = [msgspec.convert(msgspec.json.decode(msgspec.json.encode(event)), Event) for event in events]
        assert [outcome_of(event, programme=shop.programme, now=LATER) for event in read] == outcomes
        seen.update(outcome.name for outcome in outcomes)
        assert all(outcome.properties["simulated"] is True for outcome in outcomes)
        assert all(outcome.occurred_at > arrival.at for outcome in outcomes)
        assert len({outcome.message_id for outcome in outcomes}) == len(outcomes)
        assert [o.occurred_at for o in outcomes] == sorted(o.occurred_at for o in outcomes)
    assert set(seen) <= set(NAMES)
    assert {"Promotion Viewed", "Promotion Clicked", ORDER_COMPLETED, ORDER_REFUNDED, UNSUBSCRIBED} <= set(seen)


def test_control_sees_no_promotion_and_never_unsubscribes(shop: Shop, month: list[Arrival]) -> None:
    for arrival in month[:1_000]:
        names = {outcome.name for outcome in lived(shop, arrival, CONTROL)[0]}
        assert not names & {"Promotion Viewed", "Promotion Clicked", UNSUBSCRIBED}


def test_refunds_reverse_rewards(shop: Shop, month: list[Arrival]) -> None:
    full = partial = orders = late = 0
    for arrival in month:
        decision = decided(arrival, CONTROL, shop.programme)
        outcomes = shop.outcomes(arrival, decision)
        kept = [outcome for outcome in outcomes if outcome.name != ORDER_REFUNDED]
        orders += any(outcome.name == ORDER_COMPLETED for outcome in outcomes)
        if len(kept) == len(outcomes):
            continue
        late += outcomes[-1].occurred_at > decision.matures_at
        before = reward_of(decision, kept, programme=shop.programme, now=decision.matures_at)
        after = reward_of(decision, outcomes, programme=shop.programme, now=LATER)
        assert before.repurchased
        assert before.status is RewardStatus.FINAL
        assert after.revenue_micros < before.revenue_micros
        assert after.value_micros < before.value_micros
        full += after.revenue_micros == 0
        partial += after.revenue_micros > 0
    # About 12 % of some 1,000 orders: a standard deviation of 1 %.
    assert 0.08 < (full + partial) / orders < 0.16
    assert full > 0
    assert partial > 0
    assert late > 0


def test_luck_is_common_to_all_actions(shop: Shop, month: list[Arrival], truth: Truth) -> None:
    """Whoever orders untreated also orders under an action that raises her odds, at the same moment."""
    for i, arrival in enumerate(month[:500]):
        k = int(truth.repurchase[i].argmax())
        untreated = [o for o in lived(shop, arrival, CONTROL)[0] if o.name == ORDER_COMPLETED]
        treated = [o for o in lived(shop, arrival, truth.actions[k])[0] if o.name == ORDER_COMPLETED]
        if untreated:
            assert treated[0].occurred_at == untreated[0].occurred_at
