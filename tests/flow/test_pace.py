"""The use case: prices follow what is used, and decisions are made, explained and judged under them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from decision.bundle.store import BundleStore
from decision.flow.decide import decide
from decision.flow.pace import pace, prices_in_force
from decision.ledger.base import PriceRecord
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.records import CONTROL, Decision, Group, Reason, Reservation
from decision.serving import Serving, champion_from
from decision.stages.guardrails import Used
from decision.stages.pacing import Price
from decision.wiring import Home, Shop
from experiments.off_policy.replay import replay_of
from tests import support
from tests.support import DAY, MICROS, NOW, PROGRAMME, asked, budget, decided, micros, only

HOUR = timedelta(hours=1)
MONTH = budget("month", period="month", amount_micros=100 * MICROS)
SHOP = only(Group.POLICY, budgets=(MONTH,))


def take(ledger: SqliteLedger, amount: float, *, at: datetime, shop: Programme = SHOP) -> None:
    key = shop.budget_key(shop.budgets[0], at)
    wanted = Reservation(key, micros(amount), None, None)
    name = f"{at:%m%d%H%M}"
    ledger.record_decision(decided(decision_id=name, customer_id=name, at=at), [wanted], seen_version=0)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("day", datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("week", datetime(2026, 3, 22, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("month", datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)),
    ],
)
def test_periods_follow_the_clock_of_the_shop(period: str, start: datetime, end: datetime) -> None:
    """Clocks go forward in Berlin on 29 March 2026, a Sunday."""
    of = budget(period=period, count=1)
    assert SHOP.period_of(of, datetime(2026, 3, 29, 12, tzinfo=UTC)) == (start, end)
    assert SHOP.period_of(of, start) == (start, end)
    assert SHOP.period_of(of, end) != (start, end)
    assert SHOP.budget_key(of, end) != SHOP.budget_key(of, start) == SHOP.budget_key(of, end - support.SECOND)


def test_a_price_rises_while_a_budget_goes_too_fast_and_falls_while_it_rests(ledger: SqliteLedger) -> None:
    take(ledger, 10.0, at=NOW)
    assert pace(programme=SHOP, ledger=ledger, now=NOW) == 1
    assert prices_in_force(SHOP, ledger) == {}, "a tenth of the money after a ninth of the month"
    take(ledger, 20.0, at=NOW + HOUR)
    assert pace(programme=SHOP, ledger=ledger, now=NOW + HOUR) == 1
    (dear,) = prices_in_force(SHOP, ledger).values()
    assert dear.per_money == pytest.approx(np.e - 1.0), "at most one step at a time"
    assert pace(programme=SHOP, ledger=ledger, now=NOW + HOUR + support.SECOND) == 0, "a step takes its time"
    pace(programme=SHOP, ledger=ledger, now=NOW + DAY)
    (cheaper,) = prices_in_force(SHOP, ledger).values()
    assert 0.0 < cheaper.per_money < dear.per_money


def test_prices_are_a_function_of_what_the_ledger_holds(ledger: SqliteLedger) -> None:
    for n in range(10):
        take(ledger, 9.0, at=NOW + n * HOUR)
        before = ledger.shadow_price("month")
        pace(programme=SHOP, ledger=ledger, now=NOW + n * HOUR)
        found = ledger.shadow_price("month")
        assert found is not None
        assert found.used == ledger.used([found.budget_key])[found.budget_key]
        if before is not None:
            ledger.record_shadow_prices([before])
            pace(programme=SHOP, ledger=ledger, now=NOW + n * HOUR)
            assert ledger.shadow_price("month") == found


def test_a_period_starts_with_the_last_price(ledger: SqliteLedger) -> None:
    ledger.record_shadow_prices([PriceRecord("month|2026-02-01", NOW - 5 * DAY, Price(2.0), Used(micros(99.0), 40))])
    assert prices_in_force(SHOP, ledger) == {"month": Price(2.0)}
    take(ledger, 100 * 3.5 / 31, at=NOW)
    pace(programme=SHOP, ledger=ledger, now=NOW)
    found = ledger.shadow_price("month")
    assert found is not None
    assert (found.budget_key, found.price.per_money) == ("month|2026-03-01", pytest.approx(2.0, rel=0.05))


@pytest.mark.parametrize("changes", [{"pacing": False}, {"period": "programme"}])
def test_a_budget_that_is_not_paced_has_no_price(ledger: SqliteLedger, changes: dict[str, object]) -> None:
    shop = replace(SHOP, budgets=(replace(MONTH, **changes),))  # type: ignore[arg-type]
    take(ledger, 90.0, at=NOW, shop=shop)
    assert pace(programme=shop, ledger=ledger, now=NOW) == 0
    ledger.record_shadow_prices([PriceRecord("month|2026-03-01", NOW, Price(2.0), Used())])
    assert prices_in_force(shop, ledger) == {}


def made(ledger: SqliteLedger, serving: Serving, name: str) -> list[Decision]:
    asks = [asked(f"{name}-{n}", f"{name}-{n}", features={"age": 20.0 + n}) for n in range(40)]
    return [decide(ask, serving=serving, ledger=ledger, now=NOW) for ask in asks]


@pytest.mark.parametrize("policy", ["thompson", "epsilon_greedy", "inverse_gap", "linucb"])
def test_a_price_turns_offers_away_and_values_stay_true_money(
    bundles: BundleStore, ledger: SqliteLedger, policy: str
) -> None:
    champion = champion_from(support.write_bundle(bundles, support.manifest(policy=policy), spread=0.3))
    shop = replace(SHOP, budgets=(replace(MONTH, amount_micros=10**15),), exploration_floor=0.0)
    free, dear = (made(ledger, Serving(shop, champion, prices), f"{policy}{len(prices)}")
                  for prices in ({}, {"month": Price(per_money=2.0, per_use=20.0)}))  # fmt: skip
    assert [d.predictions["value"] for d in free] == [d.predictions["value"] for d in dear]
    assert all("shadow_price" not in d.predictions for d in free)
    assert all(len(d.reasons) == 1 for d in free)
    held = [np.mean([d.distribution[d.allowed.index(CONTROL)] for d in group]) for group in (free, dear)]
    assert held[1] > held[0] + 0.2
    for decision in dear:
        price = decision.predictions["shadow_price"]
        assert price[0] == 0.0
        assert min(p or 0.0 for p in price[1:]) > 20.0
        assert decision.reasons[1][0] == Reason.BUDGET_PACED.value
        # Whoever is asked afterwards acts under the price that was in force, and is valued without it.
        chances, values = replay_of(champion, shop)(decision, decision.allowed)
        assert chances == pytest.approx(decision.distribution, abs=0.02)
        assert values == pytest.approx(decision.predictions["value"], abs=1e-5)


def test_a_running_server_follows_prices(home: Home) -> None:
    home.programme_path.write_text(f'{PROGRAMME}\n[budgets.month]\nperiod = "month"\namount = "100"\n')
    shop = Shop(home)
    assert shop.serving.prices == {}
    shop.ledger.record_shadow_prices([PriceRecord("month|2026-03-01", NOW, Price(0.7), Used())])
    shop.refresh()
    assert shop.serving.prices == {"month": Price(0.7)}
    shop.close()
