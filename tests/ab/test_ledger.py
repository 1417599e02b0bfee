"""Encore's own ledger: customers by group, each order once; actions by the logged propensities."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from decision.cli import main
from decision.ledger.sqlite import SqliteLedger
from decision.money import MICROS
from decision.records import Group
from decision.serving import Serving
from experiments.ab import bandit_evidence
from experiments.ab.analyse import analyse
from experiments.ab.analysis import Outcome
from experiments.ab.asked import analysed_case
from experiments.ab.case_source import case_of_ledger
from experiments.ab.ledger_actions import action_effects
from experiments.ab.ledger_units import customers
from experiments.ab.plans import Plan, PlanKind
from experiments.shop import Shop, shop_programme
from experiments.shop.days import Days
from experiments.simulate import START

TEMPLATE = Path(__file__).parents[2] / "experiments" / "ab" / "programme_case.toml"
SERVED = 40


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """Half of the customers are left alone, half get any action with equal probability."""
    shares = {Group.HOLDOUT: 0.5, Group.RANDOM: 0.5, Group.BUSINESS_AS_USUAL: 0.0, Group.POLICY: 0.0}
    programme = replace(shop_programme(), shares=shares)
    ledger = SqliteLedger.create(tmp_path_factory.mktemp("ab") / "ledger.db", durable=False)
    found = Days(Shop.open(programme, seed=3, customers=1_500, start=START), ledger)
    for day in range(found.after_trial(SERVED)):
        if day < SERVED:
            found.decide(day, Serving(programme, None))
        found.night(day)
    yield found
    ledger.close()


def window(days: Days) -> float:
    return float(days.programme.attribution_window_days)


def test_orders_count_once_for_a_customer_with_several_decisions(days: Days) -> None:
    now = days.midnight(days.after_trial(SERVED))
    table = customers(days.ledger, days.programme, window_days=window(days), now=now).to_pylist()
    by = {row["customer_id"]: row for row in table}
    assert len(by) == len(table)
    rewards: dict[str, list[float]] = {}
    for one in days.ledger.rewarded():
        rewards.setdefault(one.decision.customer_id, []).append(one.reward.revenue_micros / MICROS)
    single = [name for name, found in rewards.items() if len(found) == 1 and name in by]
    assert single
    for name in single:
        assert by[name]["revenue"] == pytest.approx(rewards[name][0])
    several = [name for name, found in rewards.items() if len(found) > 1 and name in by]
    assert sum(by[name]["revenue"] for name in several) < sum(sum(rewards[name]) for name in several)


def test_the_groups_are_compared_on_their_customers(days: Days) -> None:
    now = days.midnight(days.after_trial(SERVED))
    case, units = case_of_ledger(TEMPLATE, days.ledger, days.programme, now=now)
    found = analyse(case, units)
    assert found.sound
    assert set(found.counts) == {"holdout", "random"}
    assert found.verdicts[0].outcome is not Outcome.NOT_ENOUGH_DATA
    repurchased = next(one for one in found.results if one.metric.name == "repurchased")
    rows = customers(days.ledger, days.programme, window_days=window(days), now=now).to_pylist()
    share = [np.mean([row["repurchased"] for row in rows if row["group"] == name]) for name in ("holdout", "random")]
    assert repurchased.absolute.effect.estimate == pytest.approx(share[1] - share[0])


def test_customers_whose_window_is_not_over_are_not_measured_yet(days: Days) -> None:
    end = days.midnight(days.after_trial(SERVED))
    now = customers(days.ledger, days.programme, window_days=window(days), now=end).num_rows
    assert (
        customers(days.ledger, days.programme, window_days=window(days), now=end - timedelta(days=SERVED)).num_rows
        < now
    )


def test_actions_with_few_rewarded_decisions_are_told_to_be_too_early(days: Days) -> None:
    found = action_effects(days.ledger.rewarded(), Plan(PlanKind.ALWAYS_VALID, 1_000))
    assert found
    assert all(one.effect is None and one.adjusted_p_value is None for one in found)
    assert all("25 rewarded decisions are needed" in one.reason or "could be drawn" in one.reason for one in found)


def test_actions_are_compared_by_their_propensities(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    # Estimates have to be right, however few decisions there are in a test that must be short.
    monkeypatch.setattr(bandit_evidence, "FEWEST_REWARDED", 0.0)
    found = action_effects(days.ledger.rewarded(), Plan(PlanKind.ALWAYS_VALID, 1_000))
    assert {one.action for one in found} <= {action.action_id for action in days.programme.actions}
    drawn = [one for one in days.ledger.rewarded() if one.decision.group is Group.RANDOM]
    estimated = [one for one in found if one.effect is not None]
    assert len(estimated) > 5
    for one in estimated:
        both = [r for r in drawn if one.action in r.decision.allowed]
        mean = [
            np.mean(
                [(r.reward.margin_micros - r.reward.cost_micros) / MICROS for r in both if r.decision.action_id == a]
            )
            for a in ("control", one.action)
        ]
        # Every action had the same chance, so that naive means are right here and ours are near them.
        assert one.effect is not None
        assert one.effect.estimate == pytest.approx(mean[1] - mean[0], abs=2.5 * one.effect.standard_error)


def test_the_command_without_a_case_is_about_the_programme(tmp_path: Path) -> None:
    runner = CliRunner()
    runner.invoke(main, ["--home", str(tmp_path), "init"])
    result = runner.invoke(main, ["--home", str(tmp_path), "ab", "analyse", "--report", str(tmp_path / "page.html")])
    assert result.exit_code == 1
    assert "found none yet" in result.output
    assert "there is nothing to report" in result.stderr
    assert not (tmp_path / "page.html").exists()


def test_no_action_is_told_while_customers_are_too_few_for_the_plan(days: Days, tmp_path: Path) -> None:
    decisions = sum(one.decision.group is Group.RANDOM for one in days.ledger.rewarded())
    # Not all of the customers are measured, and all of the decisions.
    now = days.midnight(days.after_trial(SERVED)) - timedelta(days=SERVED - 10)
    home = SimpleNamespace(ledger=lambda: days.ledger, programme=lambda: days.programme)
    for units, told in ((decisions, False), (2, True)):
        assert action_effects(days.ledger.rewarded(), Plan(PlanKind.FIXED, units)), "decisions alone are enough"
        case = tmp_path / "case.toml"
        text = TEMPLATE.read_text().replace("always_valid", "fixed").replace("units = 10000", f"units = {units}")
        case.write_text(text)
        asked = analysed_case(home, case, None, None, now=now, tell=lambda _: None)
        assert asked.analysis is not None
        assert (asked.analysis.too_early, bool(asked.actions)) == (not told, told)
        assert ("actions against control" in "\n".join(asked.lines("EUR"))) is told
