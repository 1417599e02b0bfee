from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from decision.errors import InvalidProgramme
from decision.flow.decide import decide
from decision.ledger.base import Act, NewProfile
from decision.ledger.forget import Forgotten, pseudonymise
from decision.ledger.sqlite import SqliteLedger
from decision.ledger.subject import about
from decision.programme.model import Programme
from decision.records import Decision, Group, Outcome, ProfileSource, Reason
from decision.serving import Serving
from experiments.features.catalogue import catalogue
from experiments.features.compute import features_of
from experiments.features.follow import MOST_OLD, SOURCE, Follower, Refreshed
from experiments.history.from_ledger import history_of_ledger
from tests.support import DAY, NOW, asked, bought, decided, only, refunded

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
ALL = ", ".join(f'"{feature.name}"' for feature in catalogue(("email", "sms", "on_page")))
PROFILE = f"\n[profile]\nvalues = [{ALL}]\n"
FEATURES = catalogue(tuple(only(Group.RANDOM).channels))


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A follower is made once: to translate the features takes a second."""
    path = tmp_path_factory.mktemp("followed") / "ledger.db"
    ledger = SqliteLedger.create(path)
    yield ledger, Follower(path, ledger, FEATURES)
    ledger.close()


@pytest.fixture
def shop(followed: Any) -> Any:
    """An empty ledger under the same follower."""
    ledger, follower = followed
    with ledger._transaction() as db:
        for table in ("outcomes", "decisions", "orders", "customers", "profiles", "cursors", "unfinished"):
            db.execute(f"DELETE FROM {table}")
    follower._ahead.clear()
    return ledger, follower


def profiled(**changes: Any) -> Programme:
    """The test programme with every feature in the context of decisions."""
    return only(Group.RANDOM, add=PROFILE, **changes)


def values(ledger: SqliteLedger, name: str) -> dict[str, Any]:
    return {f.name: ledger.profiles.of(name).values.get(f.name) for f in FEATURES}


def test_batch_refresh_and_the_logged_values_agree_to_the_last_bit(shop: Any) -> None:
    ledger, follower = shop
    for n in range(12):
        name, at = f"c-{n % 3}", NOW - 400 * DAY + n * 31.7 * DAY
        products = [{"product_id": f"p-{n % 4}", "category": f"k-{n % 2}", "price": 1 + n, "quantity": 1 + n % 3}]
        order = bought(at, f"o-{n}", customer_id=name, message_id=f"m-{n}")
        order = Outcome(order.message_id, order.name, name, at, {**order.properties, "products": products})
        back = refunded(at + 9 * DAY, f"o-{n}", customer_id=name, message_id=f"r-{n}")
        ledger.record_outcomes([order, back] if n % 4 == 0 else [order], now=at)
    earlier = decided(decision_id="earlier", customer_id="c-1", at=NOW - 40 * DAY, order_id="o-4")
    ledger.record_decision(earlier, (), seen_version=0)
    assert follower.round(now=NOW) == Refreshed(news=3, old=0, gone=0)

    request = asked("d-1", "c-1")
    decision = decide(request, serving=Serving(profiled(), None), ledger=ledger, now=NOW + SECOND)
    (source,) = decision.profile_sources
    assert (source.name, source.as_of) == (SOURCE, NOW)
    everybody = features_of(history_of_ledger(ledger.path), FEATURES, as_of=source.as_of).to_pylist()
    for row in everybody:
        assert values(ledger, row["customer_id"]) == {f.name: row[f.name] for f in FEATURES}
    (hers,) = [row for row in everybody if row["customer_id"] == "c-1"]
    logged = ledger.decision("d-1")
    assert logged == decision
    assert {f.name: logged.context[f.name] for f in FEATURES} == {f.name: hers[f.name] for f in FEATURES}
    assert hers["contacts"] == 1.0
    assert hers["main_category"] == "k-0"


def test_only_customers_with_news_are_refreshed(shop: Any) -> None:
    ledger, follower = shop
    ledger.record_outcomes(
        [bought(NOW, f"o-{n}", customer_id=f"c-{n}", message_id=f"m-{n}") for n in range(3)], now=NOW
    )
    follower.round(now=NOW + HOUR)
    assert not follower.round(now=NOW + HOUR), "nothing new"
    ledger.record_outcomes([bought(NOW + HOUR, "o-9", customer_id="c-1", message_id="m-9")], now=NOW + HOUR)
    assert follower.round(now=NOW + 2 * HOUR) == Refreshed(news=1, old=0, gone=0)
    assert values(ledger, "c-1")["orders"] == 2.0
    assert ledger.profiles.of("c-1").sources[0].as_of == NOW + 2 * HOUR
    assert ledger.profiles.of("c-0").sources[0].as_of == NOW + HOUR


def test_time_alone_ages_everybody_once_a_day(shop: Any) -> None:
    ledger, follower = shop
    n = MOST_OLD + 1
    ledger.record_outcomes(
        [bought(NOW, f"o-{i}", customer_id=f"c-{i}", message_id=f"m-{i}") for i in range(n)], now=NOW
    )
    assert follower.round(now=NOW + HOUR).news == n
    later = NOW + HOUR + DAY
    assert not follower.round(now=later)
    later += SECOND
    assert [follower.round(now=later) for _ in range(3)] == [
        Refreshed(news=0, old=MOST_OLD, gone=0),
        Refreshed(news=0, old=1, gone=0),
        Refreshed(news=0, old=0, gone=0),
    ]
    assert values(ledger, "c-7")["recency_days"] == pytest.approx(25 / 24, abs=1e-4)


def test_an_event_by_a_fast_clock_counts_once_its_time_has_come(shop: Any) -> None:
    ledger, follower = shop
    ledger.record_outcomes([bought(NOW + 5 * SECOND, "o-1", customer_id="ada", message_id="m-1")], now=NOW)
    follower.round(now=NOW)
    assert values(ledger, "ada")["orders"] == 0.0
    assert not follower.round(now=NOW + 5 * SECOND)
    follower.round(now=NOW + 6 * SECOND)
    assert values(ledger, "ada")["orders"] == 1.0


def test_values_of_other_definitions_are_made_anew(shop: Any, tmp_path: Path) -> None:
    ledger, follower = shop
    ledger.record_outcomes([bought(NOW, "o-1", customer_id="ada", message_id="m-1")], now=NOW)
    follower.round(now=NOW + HOUR)
    ledger.profiles.put([NewProfile("ada", ProfileSource(SOURCE, NOW + HOUR, "older"), {"orders": 99.0})])
    follower._is_renewed = False
    assert follower.round(now=NOW + HOUR + SECOND).old == 1
    assert values(ledger, "ada")["orders"] == 1.0


def test_an_older_profile_never_replaces_a_newer_one(shop: Any) -> None:
    ledger, _ = shop
    for at, orders in ((NOW, 2.0), (NOW - HOUR, 1.0)):
        ledger.profiles.put([NewProfile("ada", ProfileSource(SOURCE, at, "v"), {"orders": orders, "margin": None})])
    ledger.profiles.put([NewProfile("ada", ProfileSource("predictions", NOW, "w"), {"churn": 0.5})])
    found = ledger.profiles.of("ada")
    assert found.values == {"churn": 0.5, "orders": 2.0}
    assert [(s.name, s.as_of, s.version) for s in found.sources] == [(SOURCE, NOW, "v"), ("predictions", NOW, "w")]
    assert ledger.profiles.of("ada", ["churn", "margin"]).values == {"churn": 0.5, "margin": None}
    assert ledger.profiles.of("nobody", ["churn"]).values == {"churn": None}


def test_of_whom_nothing_is_left_no_profile_is(shop: Any) -> None:
    ledger, follower = shop
    ledger.profiles.put([NewProfile("gone", ProfileSource(SOURCE, NOW - 2 * DAY, "any"), {"orders": 1.0})])
    assert follower.round(now=NOW) == Refreshed(news=0, old=1, gone=1)
    assert ledger.profiles.of("gone").sources == ()


def test_who_asks_gets_her_values_and_who_is_forgotten_loses_them(shop: Any) -> None:
    ledger, follower = shop
    ledger.record_outcomes([bought(NOW, "o-1", customer_id="ada", message_id="m-1")], now=NOW)
    follower.round(now=NOW + HOUR)
    assert about(ledger.path, "ada")["worked_out"].values["orders"] == 1.0

    def act(forgotten: Forgotten) -> Act:
        return Act(NOW, "test", "forgotten", {})

    pseudonymise(ledger.path, "ada", new_id="x-1", names=iter([f"n-{n}" for n in range(9)]).__next__, act=act)
    assert about(ledger.path, "ada")["worked_out"] is None
    follower.round(now=NOW + 2 * DAY)
    assert ledger.profiles.of("ada").sources == ()


def decide_with(rule: str, ledger: SqliteLedger, decision_id: str, now: datetime) -> Decision:
    listed = '\n[profile]\nvalues = ["recency_days", "main_category"]\n'
    serving = Serving(only(Group.RANDOM, add=f"{listed}[eligibility]\nrules = ['{rule}']\n"), None)
    return decide(asked(decision_id, "ada"), serving=serving, ledger=ledger, now=now)


def test_rules_may_speak_of_the_profile(shop: Any) -> None:
    ledger, follower = shop
    assert decide_with("recency_days > 30.0", ledger, "d-0", NOW).reasons[0][0] == Reason.RULE_FAILED
    newcomers = "recency_days == null || recency_days > 30.0"
    assert decide_with(newcomers, ledger, "d-new", NOW).allowed != ("control",)
    ledger.record_outcomes([bought(NOW - 31 * DAY, "o-1", customer_id="ada", message_id="m-1")], now=NOW)
    follower.round(now=NOW)
    assert decide_with("recency_days > 30.0", ledger, "d-1", NOW).allowed != ("control",)
    refused = decide_with("recency_days > 32.0", ledger, "d-2", NOW)
    assert refused.reasons[0][0] == Reason.RULE_NOT_MET
    assert refused.context["recency_days"] == 31.0
    assert refused.context["main_category"] is None
    assert "orders" not in refused.context, "only what the programme names"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[profile]\nvalues = ["recensy_days"]', "recency_days"),
        ('[profile]\nvalue = ["recency_days"]', "value"),
        ('[eligibility]\nrules = ["recensy_days > 30.0"]', "recency_days"),
        ('[profile]\nvalues = ["main_category"]\n[eligibility]\nrules = ["main_category > 30.0"]', "main_category"),
        ('[profile]\nvalues = ["orders"]\n[features.orders]\ntype = "number"', "which the profile has too"),
    ],
)
def test_check_names_what_is_wrong_with_a_profile(text: str, found: str) -> None:
    with pytest.raises(InvalidProgramme, match=found):
        only(Group.RANDOM, add=f"\n{text}\n")
