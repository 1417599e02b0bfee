"""Cases end to end: from a table of units to a verdict, as commands and as records."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from decision.cli import main
from experiments.ab.analyse import analyse
from experiments.ab.analysis import Analysis, Outcome
from experiments.ab.case_file import InvalidCase, read_case
from experiments.ab.case_source import case_of_file

ROOT = Path(__file__).parents[2]
HILLSTROM = ROOT.parent / "shared" / "data" / "hillstrom"
CASE = ROOT / "experiments" / "cases" / "hillstrom" / "case.toml"

SMALL = """\
[case]
name = "small"
file = "units.parquet"

[arms]
column = "arm"
control = "old"
[arms.shares]
old = 1
new = 1

[units]
unit = "id"
assigned_at = "day"
dimensions = ["zone"]

[plan]
kind = "fixed"
units = 4000

[metrics.spend]
kind = "mean"
role = "primary"
column = "spend"

[metrics.bought]
kind = "proportion"
column = "bought"

[metrics.median]
kind = "quantile"
column = "spend"

[metrics.returns]
kind = "ratio"
role = "guardrail"
numerator = "returned"
denominator = "orders"
better = "lower"
margin = 0.1

[money]
margin = "spend"
cost = "cost"
"""


def units(n: int = 4_000, effect: float = 2.0, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    new = rng.random(n) < 0.5
    orders = rng.poisson(2.0, n) + 1
    return {
        "id": np.arange(n),
        "arm": np.where(new, "new", "old"),
        "zone": rng.choice(["north", "south"], n),
        "day": np.array(["2026-03-01", "2026-03-02"])[rng.integers(2, size=n)],
        "spend": rng.gamma(2.0, 10.0, n) + effect * new,
        "before": rng.gamma(2.0, 10.0, n),
        "bought": rng.integers(2, size=n),
        "orders": orders,
        "returned": rng.binomial(orders, 0.2),
        "cost": 1.0 * new * (rng.random(n) < 0.5),
    }


def write(folder: Path, table: dict[str, np.ndarray], case: str = SMALL) -> Path:
    pq.write_table(pa.table(table), folder / "units.parquet")
    (folder / "case.toml").write_text(case)
    return folder / "case.toml"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["ab", *map(str, arguments)])


def found(path: Path) -> Analysis:
    return analyse(*case_of_file(path, path.parent / "units.parquet"))


def test_a_sound_trial_is_read(tmp_path: Path) -> None:
    result = run("analyse", write(tmp_path, units()))
    assert result.exit_code == 0, result.output
    assert "new is better than old: spend +" in result.stdout
    assert "SAFE" in result.stdout
    assert "net return on each unit of money" in result.stdout


def test_json_says_the_same_as_the_records(tmp_path: Path) -> None:
    path = write(tmp_path, units())
    said = json.loads(run("analyse", path, "--json").stdout)
    ours = found(path)
    assert said["clear"] is True
    assert said["results"][0]["absolute"]["effect"]["estimate"] == ours.results[0].absolute.effect.estimate
    assert said["verdicts"][0]["outcome"] == "better"


def test_nothing_is_said_of_a_split_that_does_not_fit(tmp_path: Path) -> None:
    table = units()
    kept = (table["arm"] == "old") | (np.arange(4_000) % 4 > 0)
    result = run("analyse", write(tmp_path, {name: column[kept] for name, column in table.items()}))
    assert result.exit_code == 1
    assert result.stdout.startswith("NOT SOUND, sample ratio")
    assert "Nothing can be said of new" in result.stdout


def test_too_early_is_an_answer(tmp_path: Path) -> None:
    result = run("analyse", write(tmp_path, units(n=3_000)))
    assert result.exit_code == 1
    assert "new can't be judged yet" in result.stdout
    always = SMALL.replace('"fixed"', '"always_valid"')
    assert run("analyse", write(tmp_path, units(n=3_000), always)).exit_code == 0


def test_a_case_with_mistakes_names_every_place(tmp_path: Path) -> None:
    bad = SMALL.replace('column = "bought"', 'column = "brought"').replace("margin = 0.1", "")
    bad = bad.replace('kind = "fixed"', 'kind = "fixd"').replace('control = "old"', 'control = "odl"')
    result = run("analyse", write(tmp_path, units(), bad))
    assert result.exit_code == 2
    for place in (
        "metrics.bought.column: unknown column 'brought'; did you mean 'bought'?",
        "metrics.returns.margin: a guardrail metric needs",
        "plan.kind: expected one of fixed, always_valid, group_sequential, found 'fixd'",
        "arms.control: unknown arm 'odl'; did you mean 'old'?",
    ):
        assert place in result.output
    with pytest.raises(InvalidCase, match='role = "primary"'):
        read_case(write(tmp_path, units(), SMALL.replace('role = "primary"', "")), tuple(units()), None)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("spend", np.nan, "'spend', found 1 row"), ("bought", 2, "0 or 1 in 'bought'")],
)
def test_values_that_cannot_be_are_refused(tmp_path: Path, column: str, value: float, said: str) -> None:
    table = units()
    table[column] = table[column].astype(float)
    table[column][7] = value
    result = run("analyse", write(tmp_path, table))
    assert result.exit_code == 2
    assert said in result.output


def test_duplicated_units_are_unsound_until_they_are_named_as_clusters(tmp_path: Path) -> None:
    table = {name: np.repeat(column, 2) for name, column in units().items()}
    assert run("analyse", write(tmp_path, table)).exit_code == 1
    clustered = SMALL.replace('unit = "id"', 'unit = "id"\ncluster = "id"')
    twice = found(write(tmp_path, table, clustered))
    once = found(write(tmp_path, units()))
    assert twice.clear
    for a, b in zip(once.results, twice.results, strict=True):
        assert b.absolute.effect.estimate == pytest.approx(a.absolute.effect.estimate, rel=1e-9)
        # Quantiles know their error from ranks, which repeated units move a little.
        close = 0.1 if a.metric.name == "median" else 1e-3
        assert b.absolute.effect.standard_error == pytest.approx(a.absolute.effect.standard_error, rel=close)


def test_a_few_customers_in_two_arms_are_left_out_and_many_are_unsound(tmp_path: Path) -> None:
    clustered = SMALL.replace('unit = "id"', 'unit = "id"\ncluster = "id"')
    for crossing, clear in ((8, True), (400, False)):
        table = units()
        again = {name: column[:crossing].copy() for name, column in table.items()}
        again["arm"] = np.where(again["arm"] == "old", "new", "old")
        both = {name: np.concatenate([table[name], again[name]]) for name in table}
        ours = found(write(tmp_path, both, clustered.replace("units = 4000", "units = 3000")))
        assert ours.clear is clear
        assert sum(ours.counts.values()) == 4_000 - crossing


def test_shares_and_quantiles_without_enough_to_go_by_are_refused(tmp_path: Path) -> None:
    table = units()
    table["bought"] = (np.arange(4_000) < 6).astype(float)
    table["spend"] = np.where(np.arange(4_000) % 5 < 3, 0.0, table["spend"])
    ours = found(write(tmp_path, table))
    assert {one.metric.name for one in ours.refusals} == {"bought", "median"}


def test_an_arm_without_units_and_arms_beyond_the_case_are_named(tmp_path: Path) -> None:
    table = units()
    table["arm"] = np.where(np.arange(4_000) % 10 == 0, "third", table["arm"])
    assert found(write(tmp_path, table)).left_out == {"third": 400}
    result = run("analyse", write(tmp_path, units(), SMALL.replace("new = 1", "newer = 1")))
    assert result.exit_code == 2
    assert "none in 'newer'; the column 'arm' also says 'new'" in result.output


def test_a_constant_metric_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    table = units()
    table["bought"] = np.zeros(4_000)
    ours = found(write(tmp_path, table))
    assert [one.metric.name for one in ours.refusals] == ["bought"]
    assert ours.verdicts[0].outcome is Outcome.BETTER


def test_cuped_strata_winsorising_and_a_prior_are_taken_from_the_case(tmp_path: Path) -> None:
    table = units()
    table["before"] = table["spend"] - 2.0 * (table["arm"] == "new") + np.random.default_rng(3).normal(0, 5.0, 4_000)
    case = SMALL.replace('role = "primary"\n', 'role = "primary"\ncovariates = ["before"]\nwinsorise = 0.99\n')
    case = case.replace('dimensions = ["zone"]', 'dimensions = ["zone"]\nstrata = "zone"') + "[bayes]\nprior_sd = 5.0\n"
    ours = found(write(tmp_path, table, case)).results[0]
    assert ours.variance_removed > 0.5
    assert ours.posterior is not None
    assert ours.posterior.chance_to_win > 0.9


@pytest.mark.parametrize("few", [1, 2, 3])
def test_a_segment_of_hardly_any_units_is_left_out_and_the_others_are_not(tmp_path: Path, few: int) -> None:
    table = units()
    table["before"] = table["spend"] - np.random.default_rng(3).normal(0, 5.0, 4_000)
    table["zone"] = np.array(["island"] * few + ["north", "south"] * 2_000)[:4_000]
    table["arm"] = np.where(np.arange(4_000) < few, "new", units()["arm"])
    case = SMALL.replace('role = "primary"\n', 'role = "primary"\ncovariates = ["before"]\n')
    ours = found(write(tmp_path, table, case))
    assert {part.segment for one in ours.segments for part in one.effects.segments} == {"north", "south"}


def test_group_sequential_cases_are_read_at_their_looks(tmp_path: Path) -> None:
    case = SMALL.replace('kind = "fixed"\nunits = 4000', 'kind = "group_sequential"\nunits = 8000\nlooks = [0.5, 1.0]')
    ours = found(write(tmp_path, units(), case)).results[0].absolute
    assert "look 1" in ours.sentence
    assert ours.effect.p_value < 0.05
    assert run("analyse", write(tmp_path, units(n=3_000), case)).exit_code == 1


def test_money_and_segments_are_as_wide_as_the_plan_asks(tmp_path: Path) -> None:
    always = found(write(tmp_path, units(), SMALL.replace('"fixed"', '"always_valid"')))
    net, spend = always.money["new"].cost_per_unit, always.results[0].absolute.effect
    assert net is not None
    fixed = found(write(tmp_path, units())).money["new"].cost_per_unit
    assert fixed is not None
    wider = (net.high - net.low) / (fixed.high - fixed.low)
    assert wider == pytest.approx((spend.high - spend.estimate) / spend.standard_error / 1.96, rel=0.01)
    early = found(write(tmp_path, units(n=2_000)))
    assert not early.money
    assert not early.segments


def test_planning_says_when_a_test_can_answer(tmp_path: Path) -> None:
    table = units(effect=0.0)
    del table["arm"], table["cost"], table["id"]
    outlook = """
[planning]
starts = 2026-12-01
answer_by = 2027-01-31
units_per_day = {per_day}
[planning.effects]
spend = 1.0
"""
    quick = run("plan", write(tmp_path, table, SMALL + outlook.format(per_day=500)))
    assert quick.exit_code == 0, quick.output
    assert "This test can answer by 2027-01-31." in quick.stdout
    slow = run("plan", write(tmp_path, table, SMALL + outlook.format(per_day=10)))
    assert slow.exit_code == 1
    assert "This test can't answer by 2027-01-31." in slow.stdout


@pytest.mark.skipif(not HILLSTROM.exists(), reason=f"Hillstrom's trial is not in {HILLSTROM}")
@pytest.mark.parametrize("name", ["hillstrom.csv", "hillstrom.parquet"])
def test_hillstroms_trial_says_what_was_published(name: str) -> None:
    ours = analyse(*case_of_file(CASE, HILLSTROM / name))
    by = {(one.metric.name, one.arm): one for one in ours.results}
    for arm, expected, rate in (
        ("Mens E-Mail", (0.770, 0.485, 1.055), 0.1828),
        ("Womens E-Mail", (0.424, 0.169, 0.680), 0.1514),
    ):
        effect = by["spend", arm].absolute.effect
        assert (effect.estimate, effect.low, effect.high) == pytest.approx(expected, abs=5e-4)
        assert by["visit", arm].treatment.value == pytest.approx(rate, abs=5e-5)
        assert by["visit", arm].control.value == pytest.approx(0.1062, abs=5e-5)
    assert ours.clear
    assert {verdict.outcome for verdict in ours.verdicts} == {Outcome.BETTER}
