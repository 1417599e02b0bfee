"""Units as they come: what is no number, has no digits left, or has no zone is refused or read alike everywhere."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decision.errors import InvalidInput, NotEnoughData
from decision.programme.metrics import declared_metric
from decision.programme.section import Problems, Section
from experiments.ab.analyse import analyse
from experiments.ab.analysis import Analysis
from experiments.ab.arm_figure import mean_figure, ratio_figure
from experiments.ab.case_file import InvalidCase
from experiments.ab.case_source import case_of_file, source_of
from experiments.ab.effect import RelativeMethod, absolute_effect, relative_effect
from experiments.ab.from_duckdb import relation
from experiments.ab.moments import Moments
from experiments.ab.quantiles import quantile_figure
from experiments.ab.strata import post_stratified

LOG_RATIO = RelativeMethod.LOG_RATIO
CASE = """\
[case]
name = "hostile"
[arms]
column = "arm"
control = "old"
[arms.shares]
old = 1
new = 1
[plan]
kind = "fixed"
units = 400
[metrics.spend]
kind = "mean"
role = "primary"
column = "spend"
"""


def analysed(folder: Path, units: Path, case: str = CASE) -> Analysis:
    (folder / "case.toml").write_text(case)
    return analyse(*case_of_file(folder / "case.toml", units))


def parquet(folder: Path, **columns: object) -> Path:
    pq.write_table(pa.table({"arm": ["old", "new"] * 200, **columns}), folder / "units.parquet")
    return folder / "units.parquet"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1,5", "the first is unit 3 of the arms, with '1,5'. Write numbers with a point"),
        ("yes", "with 'yes'. Write 1 for yes and 0 for no."),
        ("n/a", "with 'n/a'. A unit that did nothing has 0"),
        ("", "with nothing. A unit that did nothing has 0"),
        ("inf", "with 'inf'."),
    ],
)
def test_what_is_no_number_is_shown(tmp_path: Path, cell: str, said: str) -> None:
    rows = [("old", "1"), ("third", "x"), ("new", "2"), ("old", cell), ("new", "4")]
    (tmp_path / "units.csv").write_text("arm;spend\n" + "".join(f"{arm};{value}\n" for arm, value in rows))
    with pytest.raises(InvalidInput) as error:
        analysed(tmp_path, tmp_path / "units.csv")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file"),
        ("arm,spend\nalt\u00f6,1\n".encode("latin-1"), "not utf-8 encoded"),
        (b"arm,spend\n" + b"old,1\nnew,2\n" * 20_000 + b"old,n/a\n", 'Could not convert string "n/a"'),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "units.csv").write_bytes(content)
    with pytest.raises(InvalidInput) as error:
        analysed(tmp_path, tmp_path / "units.csv")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_numbers_whose_digits_are_lost_are_refused_and_not_called_alike(tmp_path: Path) -> None:
    """Integers beyond 2^53, ids most of the time: as doubles their means differ by 0."""
    for kind in (np.int64, np.uint64):
        with pytest.raises(InvalidInput, match="up to 16 digits in 'spend', found 4611686018427387904"):
            analysed(tmp_path, parquet(tmp_path, spend=(2**62 + np.arange(400)).astype(kind)))
    assert analysed(tmp_path, parquet(tmp_path, spend=10**14 * np.arange(400))).results
    rng = np.random.default_rng(1)
    near, far = ([Moments.of(level + rng.normal(k, 1.0, 300)) for k in (0, 2)] for level in (1e9, 1e15))
    assert absolute_effect(*map(mean_figure, near)).estimate == pytest.approx(2.0, abs=0.3)
    with pytest.raises(NotEnoughData, match="Take the common level off"):
        absolute_effect(*map(mean_figure, far))
    with pytest.raises(NotEnoughData, match="Take the common level off"):
        post_stratified({"all": far[0]}, {"all": far[1]})


def test_a_ratio_whose_denominator_may_be_zero_is_refused() -> None:
    rng = np.random.default_rng(2)
    money, orders = rng.normal(10, 3, 500), rng.normal(0.05, 1.0, 500)
    with pytest.raises(NotEnoughData, match="denominator away from 0"):
        ratio_figure(Moments.of(money, orders))
    assert ratio_figure(Moments.of(money, orders + 1.0)).value == pytest.approx(10 / 1.05, rel=0.1)


def test_days_are_those_of_utc_on_every_machine(tmp_path: Path) -> None:
    moments = np.datetime64("2026-03-01T23:30") + np.arange(400).astype("timedelta64[s]")
    parquet(tmp_path, at=pa.array(moments.astype("M8[us]"), pa.timestamp("us", "Europe/Berlin")))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        days = relation(connection, tmp_path / "units.parquet").project('"at"::DATE::VARCHAR').distinct().fetchall()
    assert days == [("2026-03-01",)]


def test_covariates_that_are_the_metric_leave_nothing_to_say(tmp_path: Path) -> None:
    file = parquet(tmp_path, spend=np.arange(400.0), twice=2.1 * np.arange(400) + 3)
    own = CASE + 'covariates = ["spend"]\n'
    with pytest.raises(InvalidCase, match="'spend' is the metric itself"):
        analysed(tmp_path, file, own)
    assert "figures that vary" in analysed(tmp_path, file, own.replace('["spend"]', '["twice"]')).refusals[0].reason


def test_a_case_may_begin_with_a_byte_order_mark_and_its_file_is_a_text(tmp_path: Path) -> None:
    assert analysed(tmp_path, parquet(tmp_path, spend=np.arange(400.0)), "\ufeff" + CASE).results
    (tmp_path / "case.toml").write_text(CASE.replace('name = "hostile"', 'name = "hostile"\nfile = 5'))
    with pytest.raises(InvalidCase, match=r"case\.file: expected a text, found 5"):
        source_of(tmp_path / "case.toml")


@pytest.mark.parametrize("plan", ["fixed", "always_valid", "group_sequential"])
def test_every_plan_widens_a_log_ratio_on_the_logarithm(tmp_path: Path, plan: str) -> None:
    """An interval that is even around the estimate would reach below a loss of all."""
    looks = "looks = [0.5, 1.0]\n" if plan == "group_sequential" else ""
    case = CASE.replace('"mean"', '"proportion"').replace(
        'kind = "fixed"\n', f'kind = "{plan}"\nalpha = 0.001\n{looks}'
    )
    spend = np.isin(np.arange(400), np.r_[0:60:2, 1:14:2]).astype(float)
    ours = analysed(tmp_path, parquet(tmp_path, spend=spend), case).results[0]
    assert ours.relative is not None
    effect, absolute = ours.relative.effect, ours.absolute.effect
    assert effect.estimate == pytest.approx(7 / 30 - 1)
    below, above = np.log1p(effect.estimate) - np.log1p(effect.low), np.log1p(effect.high) - np.log1p(effect.estimate)
    assert below == pytest.approx(above)
    error = effect.standard_error / (1 + effect.estimate)
    reach = (absolute.high - absolute.estimate) / absolute.standard_error
    assert below / error == pytest.approx(reach, rel=0.01)


def test_relative_effects_of_rare_shares_cover_what_they_say() -> None:
    """Ten or twenty of a thousand: log-ratios, as cases have them by default; the delta method covers .92 to .94."""
    rng = np.random.default_rng(5)
    for n, m in ((1_000, 1_000), (2_000, 1_000), (10_000, 2_000)):
        yes = zip(rng.binomial(n, 0.01, 3_000).tolist(), rng.binomial(m, 0.012, 3_000).tolist(), strict=True)
        kept = [(a, b) for a, b in yes if min(a, b) >= 5]
        found = [
            relative_effect(*(mean_figure(Moments.of_successes(*one)) for one in ((n, a), (m, b))), method=LOG_RATIO)
            for a, b in kept
        ]
        assert 0.945 <= np.mean([one.low <= 0.2 <= one.high for one in found]) <= 0.975
    declared = declared_metric("m", Section("m", {"kind": "proportion", "column": "y"}, Problems("")), ("y",))
    assert declared.relative == "log_ratio"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (lambda rng: rng.poisson(20, 500) * 1.0, "many units share"),
        (lambda rng: np.round(rng.gamma(2, 20, 800) / 5) * 5, "many units share"),
        (lambda rng: np.where(rng.random(1_000) < 0.505, rng.gamma(2, 10, 1_000), 0), "many units share"),
        (lambda rng: np.r_[rng.normal(0, 1, 252), rng.normal(50, 1, 248)], "beside a gap"),
    ],
    ids=["counts", "round prices", "half zeros", "two humps"],
)
def test_quantiles_of_what_is_no_smooth_spread_are_refused(
    values: Callable[[np.random.Generator], np.ndarray], said: str
) -> None:
    """Their intervals covered .53 to .87 where 95 % was said."""
    with pytest.raises(NotEnoughData, match=said):
        quantile_figure(values(np.random.default_rng(1)), 0.5)


@pytest.mark.parametrize("key", ["unit", "cluster"])
@pytest.mark.parametrize("missing", [None, "", "nan"])
def test_units_without_an_id_are_refused_and_not_taken_for_one(tmp_path: Path, key: str, missing: str | None) -> None:
    ids = [missing if k % 40 == 0 else str(k) for k in range(400)]
    file = parquet(tmp_path, spend=np.arange(400.0), id=pa.array(ids, pa.string()))
    with pytest.raises(InvalidInput, match="an id for every unit in 'id', found 10 rows without one"):
        analysed(tmp_path, file, CASE + f'[units]\n{key} = "id"\n')


def test_a_margin_in_percent_of_nothing_is_open_and_its_worst_not_known(tmp_path: Path) -> None:
    noise = np.random.default_rng(4).normal(0, 1, 400)
    guard = '[metrics.noise]\nkind = "mean"\nrole = "guardrail"\ncolumn = "noise"\nmargin_percent = 5\n'
    ours = analysed(tmp_path, parquet(tmp_path, spend=np.arange(400.0), noise=noise), CASE + guard)
    assert "Not shown to be safe: noise (at worst not known)" in ours.verdicts[0].sentence
