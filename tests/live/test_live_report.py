"""Encore against itself, where the truth is known: what is said holds, and nothing is said too early."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from decision.cli import main
from decision.flow.sweep import sweep
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.programme.read import parse_programme
from decision.records import CONTROL, Group
from decision.wiring import Home
from experiments.ab import bandit_evidence
from experiments.ab.asked import analysed_programme
from experiments.ab.effect import Effect
from experiments.ab.plans import Plan, PlanKind, level_now
from experiments.ab.soundness import Finding
from experiments.ab.tails import quantile
from experiments.live.checks import checks_of_programme
from experiments.live.findings import Findings, findings
from experiments.live.forecast import told_apart_at
from experiments.live.headline import headline_of, usual_line
from experiments.live.page import page
from experiments.live.published import head_of_programme, publish
from experiments.live.run import report
from tests.live.worlds import OFFER, World, home_of, programme_of_worlds
from tests.support import NOW, PROGRAMME, bought, decided

GAIN = World(1, customers=1_600, days=70, offer=0.65)


@pytest.fixture(scope="module")
def gaining(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Findings]:
    home, ledger, programme = home_of(GAIN, tmp_path_factory.mktemp("gain"))
    with pytest.MonkeyPatch.context() as patch:
        # Figures have to be right with however few decisions a short test can have.
        patch.setattr(bandit_evidence, "FEWEST_REWARDED", 0.0)
        return home, findings(ledger, programme, now=GAIN.now)


def test_with_few_rewarded_decisions_an_action_is_told_to_be_too_early(gaining: tuple[Home, Findings]) -> None:
    home, found = gaining
    (one,) = findings(home.ledger(), found.programme, now=GAIN.now).actions
    assert one.effect is None
    assert one.reason.startswith("Too early: 25 rewarded decisions are needed as weighed, found ")
    assert one.reason.endswith(" of control.")


def test_a_known_gain_is_covered_and_told_in_a_sentence(gaining: tuple[Home, Findings]) -> None:
    found = gaining[1]
    assert found.holdout is not None
    assert found.holdout.analysis.sound
    net = found.holdout.analysis.money["policy"].net_per_unit
    assert 0 < net.low < GAIN.gain < net.high
    said = headline_of(found)
    assert said.startswith(f"Encore earns {net.estimate:.2f} EUR more per customer than doing nothing [{net.low:.2f}, ")
    assert "its incentives cost" in said


def test_totals_are_figures_per_customer_times_customers(gaining: tuple[Home, Findings]) -> None:
    found = gaining[1].holdout
    assert found is not None
    money, counts = found.analysis.money["policy"], found.analysis.counts
    for bound in ("estimate", "low", "high"):
        one = getattr(money.net_per_unit, bound)
        assert getattr(money.net_total, bound) == pytest.approx(one * counts["policy"])
        assert getattr(money.holdout_cost, bound) == pytest.approx(one * counts["holdout"])
    rows = gaining[1].customers.table.to_pylist()
    means = {
        group: np.mean([row["margin"] - row["cost"] for row in rows if row["group"] == group])
        for group in ("holdout", "policy")
    }
    assert money.net_per_unit.estimate == pytest.approx(means["policy"] - means["holdout"])


def test_only_the_band_of_every_day_counts_and_ends_at_the_figure(gaining: tuple[Home, Findings]) -> None:
    found = gaining[1]
    shown = page(found)
    curve = next(section for section in shown.sections if section.title == "How the effect on net margin came about")
    assert curve.figure is not None
    assert "always-valid" in curve.note
    assert found.holdout is not None
    result = next(one for one in found.holdout.analysis.results if one.metric.name == "net_margin")
    assert f"{result.absolute.effect.estimate:+.4g}" in curve.sentences[0]
    titles = [section.title for section in shown.sections]
    for title in ("In money", "Guardrail metrics", "Actions against control", "Which claims are causal, and why"):
        assert title in titles


def test_actions_are_compared_by_their_propensities(gaining: tuple[Home, Findings]) -> None:
    (one,) = gaining[1].actions
    assert one.action == OFFER
    assert one.effect is not None
    assert one.effect.low < GAIN.gain / GAIN.treated < one.effect.high


def test_against_business_as_usual_there_is_a_comparison_of_its_own(gaining: tuple[Home, Findings]) -> None:
    found = gaining[1].usual
    assert found is not None
    assert set(found.analysis.counts) == {"policy", "business_as_usual"}
    assert found.analysis.left_out.keys() == {"holdout"}


def test_a_terminal_says_both_comparisons_and_both_are_published(gaining: tuple[Home, Findings]) -> None:
    home, found = gaining
    asked = analysed_programme(home, None, now=GAIN.now, tell=lambda _: None)
    lines = asked.lines("EUR")
    assert lines[:2] == [headline_of(found), usual_line(found)]
    assert found.holdout is not None
    assert found.usual is not None
    units = [
        ", ".join(f"{arm} {n:,}" for arm, n in one.analysis.counts.items()) for one in (found.holdout, found.usual)
    ]
    assert [line.removeprefix("units").strip() for line in lines if line.startswith("units ")] == units
    assert [one.head.id for one in asked.each] == ["programme", "programme-against-business-as-usual"]


def test_what_is_published_is_served_as_it_is_printed(gaining: tuple[Home, Findings]) -> None:
    home, found = gaining
    assert publish(found, home.results) == ["programme", "programme-against-business-as-usual"]
    head = next(one for one in home.results.listed().heads if one.id == "programme")
    assert (head.state, head.verdict, head.as_of) == ("clear", headline_of(found), GAIN.now)
    whole = json.loads(home.results.whole("programme"))
    assert found.holdout is not None
    assert whole["counts"] == found.holdout.analysis.counts
    assert whole["actions"][0]["action"] == OFFER


def test_a_policy_that_does_what_the_holdout_gets_is_not_yet_known(tmp_path: Path) -> None:
    world = World(2, customers=900, days=70, treated=0.0)
    _, ledger, programme = home_of(world, tmp_path)
    found = findings(ledger, programme, now=world.now)
    assert world.gain == 0
    assert headline_of(found).startswith("Not yet known: Encore earns between ")
    head = head_of_programme(found)
    assert (head.state, head.outcomes) == ("clear", {"policy": "undecided"}), "it may be read, and can't tell so far"
    assert [one.effect for one in found.actions] == [None], "an action that was never drawn has no effect"
    assert "budgets" not in {section.title.lower() for section in page(found).sections}


def test_before_anybody_is_measured_it_says_from_when_on(tmp_path: Path) -> None:
    world = World(3, customers=80, days=20)
    home, *_ = home_of(world, tmp_path, add='[budgets.all]\namount = "100.00"\n')
    found = report(home, tmp_path / "page.html", now=world.now)
    day = (NOW + timedelta(days=42)).date()
    assert headline_of(found) == f"Not yet known: the first of 80 customers will be measured on {day:%-d %B %Y}."
    assert [section.title for section in page(found).sections] == ["What is waited for", "Budgets"]
    html = (tmp_path / "page.html").read_text()
    assert "of 100.00 EUR" in html
    assert "://" not in html, "nothing is fetched"
    assert home.results.listed().heads[0].state == "not_enough_data"


def test_a_feed_that_loses_orders_of_one_group_is_unsound(tmp_path: Path) -> None:
    world = replace(GAIN, seed=4, customers=500, told=0.8)
    _, ledger, programme = home_of(world, tmp_path)
    found = findings(ledger, programme, now=world.now)
    assert found.holdout is not None
    bad = [check.name for check in found.holdout.analysis.checks if check.finding is Finding.UNSOUND]
    assert bad == ["logging loss"]
    assert headline_of(found).startswith("It can't be said what Encore earns")
    assert page(found).alarms


def small(tmp_path: Path) -> tuple[SqliteLedger, Programme]:
    """Return a ledger of two customers, one of whom was in two groups."""
    ledger, programme = SqliteLedger.create(tmp_path / "ledger.db"), programme_of_worlds()
    for k, (customer, group) in enumerate([("a", Group.HOLDOUT), ("b", Group.POLICY), ("b", Group.HOLDOUT)]):
        decision = decided(
            CONTROL,
            at=NOW + timedelta(days=k),
            decision_id=f"d{k}",
            customer_id=customer,
            group=group,
            order_id=f"o{k}",
        )
        version = ledger.customer(customer).version
        ledger.record_decision(decision, (), seen_version=version)
    ledger.record_outcomes([bought(NOW + timedelta(days=d), f"x{d}", customer_id="a") for d in (3, 20)], now=NOW)
    return ledger, programme


def test_who_was_in_two_groups_and_rewards_that_are_due_forbid_belief(tmp_path: Path) -> None:
    ledger, programme = small(tmp_path)
    now = NOW + timedelta(days=60)
    found = findings(ledger, programme, now=now)
    assert found.holdout is None
    checks = {check.name: check for check in checks_of_programme(found.customers)}
    assert checks["contamination"].finding is Finding.UNSOUND
    assert "1 customer of 2 (50 %) were seen in two groups" in checks["contamination"].sentence
    assert checks["rewards"].finding is Finding.UNSOUND
    sweep(programme=programme, ledger=ledger, now=now)
    checks = {check.name: check for check in checks_of_programme(findings(ledger, programme, now=now).customers)}
    assert checks["rewards"].finding is Finding.SOUND


def test_each_metric_is_measured_over_its_own_window(tmp_path: Path) -> None:
    ledger, programme = small(tmp_path)
    text = PROGRAMME + (
        '[metrics.margin]\nkind = "mean"\nrole = "primary"\ncolumn = "net"\n'
        '[metrics.soon]\nkind = "mean"\ncolumn = "orders"\nwindow_days = 7\n'
    )
    programme = replace(parse_programme(text), shares=programme.shares)
    found = findings(ledger, programme, now=NOW + timedelta(days=60))
    row = next(row for row in found.customers.table.to_pylist() if row["customer_id"] == "a")
    assert (found.customers.windows, row["orders"], row["orders in 7 days"]) == ((28.0, 7.0), 2, 1)


def test_without_a_holdout_nothing_can_be_measured(tmp_path: Path) -> None:
    world = World(5, customers=60, days=60)
    _, ledger, programme = home_of(world, tmp_path)
    alone = replace(programme, shares={group: float(group is Group.POLICY) for group in Group})
    found = findings(ledger, alone, now=world.now)
    assert "expected a share of customers in the group holdout, found 0" in headline_of(found)


def test_the_expected_day_is_the_first_on_which_the_interval_leaves_0() -> None:
    plan, today = Plan(PlanKind.ALWAYS_VALID, 10_000), date(2026, 3, 1)
    effect = Effect(0.5, 0.25, 0.0, 1.0, 0.0, 1e9, 0.05)
    day = told_apart_at(effect, plan, 1_000, 50.0, today=today)
    assert day is not None

    def told(days: int) -> bool:
        units = 1_000 + 50 * days
        level = level_now(plan, units)
        assert level is not None
        return quantile(1 - level / 2) * 0.25 * (1_000 / units) ** 0.5 < 0.5

    days = (day - today).days
    assert told(days)
    assert not told(days - 1)
    assert told_apart_at(effect, plan, 1_000, 0.0, today=today) is None
    assert told_apart_at(replace(effect, estimate=0.001), plan, 1_000, 50.0, today=today) is None


def test_the_commands_say_it_publish_it_and_keep_the_programmes_id_free(tmp_path: Path) -> None:
    runner = CliRunner()
    encore = ["--home", str(tmp_path)]
    runner.invoke(main, [*encore, "init"])
    result = runner.invoke(main, [*encore, "report", "programme"])
    assert result.exit_code == 0, result.output
    assert "Not yet known: Encore has not decided for anybody." in result.output
    assert (tmp_path / "programme.html").exists()
    result = runner.invoke(main, [*encore, "ab", "analyse", "--json", "--publish"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["state"] == "not_enough_data"
    rows = "arm,y\n" + "\n".join(f"{arm},{k % 7}" for arm in ("old", "new") for k in range(50))
    (tmp_path / "units.csv").write_text(rows)
    case = tmp_path / "case.toml"
    case.write_text(
        '[case]\nname = "Programme of spring"\nfile = "units.csv"\n[arms]\ncolumn = "arm"\ncontrol = "old"\n'
        '[arms.shares]\nold = 1\nnew = 1\n[plan]\nkind = "fixed"\nunits = 100\n'
        '[metrics.y]\nkind = "mean"\nrole = "primary"\ncolumn = "y"\n'
    )
    result = runner.invoke(main, [*encore, "ab", "analyse", str(case), "--publish"])
    assert result.exit_code != 0
    assert "does not begin with 'programme'" in str(result.exception) + result.output
    result = runner.invoke(main, [*encore, "ab", "analyse", str(case), "--publish", "--id", "spring"])
    assert result.exit_code == 0, result.output
    heads = {head.id: head.state for head in Home(tmp_path).results.listed().heads}
    assert heads.pop("spring") == "clear"
    assert set(heads) == {"programme", "programme-against-business-as-usual"}
    assert set(heads.values()) == {"not_enough_data"}
