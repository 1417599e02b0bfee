"""What people and machines see of an analysis: the page, its plots, the JSON, the run of MLflow."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from click.testing import CliRunner

from decision import results
from decision.cli import main
from decision.wiring import Home
from experiments.ab.analyse import analyse
from experiments.ab.analysis import Analysis, Outcome, State
from experiments.ab.as_json import entries_of
from experiments.ab.as_text import lines_of
from experiments.ab.case import Case
from experiments.ab.case_source import case_of_file
from experiments.ab.distributions import BINS, Distribution, distributions_of
from experiments.ab.evidence import Evidence, evidence_of
from experiments.ab.over_time import MOST_DAYS, effects_over_time
from experiments.ab.page import page
from experiments.ab.pictures import Pictures, pictures_of
from experiments.ab.tracked import metrics_of
from experiments.ab.units import Units
from experiments.ab.words import change, signed
from experiments.pages import html_of
from tests.ab.test_cases import CASE, HILLSTROM, SMALL, units, write

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
ALWAYS = SMALL.replace('"fixed"', '"always_valid"')
SEQUENTIAL = SMALL.replace(
    'kind = "fixed"\nunits = 4000', 'kind = "group_sequential"\nunits = 8000\nlooks = [0.75, 1.0]'
)
# One metric, as drawing takes most of the time.
THIN = ALWAYS[: ALWAYS.index("[metrics.bought]")]
CLUSTERED = THIN.replace('unit = "id"', 'unit = "id"\ncluster = "id"').replace('dimensions = ["zone"]\n', "")
WITH_COVARIATE = ('role = "primary"\n', 'role = "primary"\ncovariates = ["before"]\n')
UNDRAWN = Pictures(None, {}, {}, {})


def over_days(days: int, **named: float) -> dict[str, np.ndarray]:
    table = units(**named)
    start = np.datetime64("2026-03-01")
    table["day"] = (start + np.random.default_rng(4).integers(days, size=len(table["id"]))).astype(str)
    return table


def read(path: Path) -> tuple[Analysis, Units]:
    case, found = case_of_file(path, path.parent / "units.parquet")
    return analyse(case, found), found


def shown(path: Path, *, drawn: bool = True) -> tuple[Analysis, str]:
    analysis, found = read(path)
    evidence = evidence_of(analysis, found, case_text=path.read_text())
    pictures = pictures_of(analysis, evidence) if drawn else UNDRAWN
    return analysis, html_of(page(analysis, evidence, pictures), made_at=NOW)


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.partition("</style>")[2]).split())


@dataclass(frozen=True)
class Told:
    """All that one call of `encore ab analyse` leaves behind."""

    analysis: Analysis
    home: Home
    html: str
    said: dict
    run_id: str
    tracking: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    case, page_of_it = write(folder, over_days(9)), folder / "new" / "page.html"
    tracking = (folder / "mlruns").as_uri()
    asked = ["--report", str(page_of_it), "--log", "--publish", "--id", "spring", "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking)
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        result = CliRunner().invoke(main, ["--home", str(folder), "ab", "analyse", str(case), *asked])
        assert result.exit_code == 0, result.output
        run_id = re.search(r"MLflow run (\w+)", result.stderr)
        assert run_id is not None
        said = json.loads(result.stdout)
        yield Told(read(case)[0], Home(folder), page_of_it.read_text(), said, run_id[1], tracking)


def test_the_page_says_the_verdict_first_and_its_numbers_are_the_analysis(told: Told) -> None:
    text, money = text_of(told.html), told.analysis.money["new"]
    assert "<h1>new is better than old: spend +" in told.html
    for result in told.analysis.results:
        assert change(result).partition("]")[0] in text
    assert f"{signed(money.net_total.estimate)} EUR" in text
    places = [text.index(part) for part in ("What changed", "Guardrail metrics", "Was the test sound?", "In money")]
    assert places == sorted(places)
    assert "SAFE" in text
    assert " %" not in told.html.partition("<pre>")[0], "a percent sign stays beside its number"
    assert 'role="alert"' not in told.html
    assert 'class="doubtful"' not in told.html


def test_the_page_holds_all_it_shows_wide_and_narrow_and_needs_no_script(told: Told) -> None:
    assert "<script" not in told.html
    assert not re.search(r'(?:src|srcset|href)="(?!data:image/png)', told.html)
    pictures = re.findall(r"<img [^>]*>", told.html)
    assert all(re.search(r'alt="[^"]{20,}', picture) for picture in pictures)
    drawn = re.findall(r'"data:image/png;base64,([^"]*)"', told.html)
    assert (len(pictures), len(set(drawn))) == (4, 8), "effects, over time, distribution, segments"


def test_json_is_the_same_on_every_surface(told: Told) -> None:
    from mlflow import MlflowClient

    assert json.loads(told.home.results.whole("spring")) == told.said
    assert told.said["outcomes"] == {one["arm"]: one["outcome"] for one in told.said["verdicts"]} == {"new": "better"}
    (head,) = told.home.results.listed().heads
    assert (head.state, head.outcomes) == (told.said["state"], told.said["outcomes"])
    assert told.said.items() >= json.loads(json.dumps(entries_of(told.analysis))).items()
    kept = MlflowClient(told.tracking).download_artifacts(told.run_id, "analysis.json")
    assert json.loads(Path(kept).read_text()) == told.said


def test_what_is_published_names_the_file_of_units_and_no_folder_of_the_analyst(told: Told) -> None:
    assert told.analysis.case.file is not None
    assert told.said["case"]["file"] == told.analysis.case.file.name
    assert str(told.home.root).encode() not in told.home.results.whole("spring")


def test_the_docs_name_all_that_json_has(told: Told) -> None:
    page_of_docs = (Path(__file__).parents[2] / "docs" / "ab.md").read_text()
    table = page_of_docs.partition("## For machines")[2].partition("\n## ")[0]
    named = {key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert named == told.said.keys()
    for name in [*State, *Outcome]:
        assert f"`{name}`" in table


def test_states_and_outcomes_have_one_name_each() -> None:
    assert set(get_args(results.State)) == set(State)
    assert set(get_args(results.Outcome)) == set(Outcome)


def test_a_run_of_mlflow_holds_what_it_says(told: Told) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(told.tracking)
    logged = client.get_run(told.run_id)
    effect = told.analysis.results[0].absolute.effect
    assert [logged.data.metrics[f"spend.new.{name}"] for name in ("effect", "low", "high", "p")] == pytest.approx(
        [effect.estimate, effect.low, effect.high, effect.p_value]
    )
    assert logged.data.metrics["money.new.net_total_low"] == pytest.approx(told.analysis.money["new"].net_total.low)
    assert {"plan": "fixed", "control": "old"}.items() <= logged.data.params.items()
    assert logged.data.tags["encore.state"] == "clear"
    there = {one.path for folder in ("", "plots") for one in client.list_artifacts(told.run_id, folder)}
    assert there >= {"analysis.json", "analysis.txt", "report.html", "case.toml", "plots/effects.png"}
    assert there >= {"plots/over_time_spend.png", "plots/distribution_spend.png", "plots/segments_spend_zone.png"}


def test_what_is_unsound_stands_above_the_verdict_and_results_are_doubted(tmp_path: Path) -> None:
    table = over_days(9)
    kept = (table["arm"] == "old") | (np.arange(4_000) % 4 > 0)
    table = {name: column[kept] for name, column in table.items()}
    analysis, html = shown(write(tmp_path, table, SMALL.replace("units = 4000", "units = 3400")), drawn=False)
    assert analysis.state is State.UNSOUND
    assert 0 < html.index("Not sound: sample ratio.") < html.index("<h1")
    sections = {part.partition("<h2>")[2].partition("<")[0]: part for part in html.split("<section")[1:]}
    doubted = {title for title, part in sections.items() if part.startswith(' class="doubtful')}
    assert doubted == sections.keys() - {"Was the test sound?", "How it was planned and read", "Definitions"}
    assert all("Not to be believed: the check of sample ratio" in sections[title] for title in doubted)
    assert "is better than" not in text_of(html)


def test_too_early_is_said_and_no_figure_is_shown_anywhere(tmp_path: Path) -> None:
    analysis, html = shown(write(tmp_path, over_days(9), SEQUENTIAL))
    assert analysis.state is State.TOO_EARLY
    assert "Too early to say how new compares with old." in html
    assert "<img" not in html
    effect = analysis.results[0].absolute.effect
    said = entries_of(analysis)
    for text in (html, json.dumps(said), "\n".join(lines_of(analysis)), json.dumps(metrics_of(analysis))):
        assert str(effect.estimate)[:6] not in text
    assert (said["state"], said["too_early"], said["clear"]) == ("too_early", True, False)
    assert said["verdicts"][0]["outcome"] == "too_early"
    assert said["results"][0]["absolute"]["units"] == 4_000
    assert said["results"][0]["absolute"]["effect"] is None
    assert said["results"][0]["treatment"] is None


@pytest.mark.parametrize("clustered", [False, True])
def test_the_band_ends_in_the_interval_of_an_always_valid_plan(tmp_path: Path, clustered: bool) -> None:
    table = over_days(60)
    if clustered:
        table["id"] = np.arange(4_000) // 2
        table["arm"] = np.where(table["id"] % 2, "new", "old")
    case = (CLUSTERED if clustered else THIN).replace(*WITH_COVARIATE) + "winsorise = 0.99\n"
    analysis, found = read(write(tmp_path, table, case))
    (series,) = effects_over_time(analysis.case, found)
    last, whole = series.points[-1], analysis.results[0].absolute
    assert whole.units == (2_000 if clustered else 4_000)
    assert (last.effect.estimate, last.effect.low, last.effect.high, last.units) == pytest.approx(
        (whole.effect.estimate, whole.effect.low, whole.effect.high, whole.units), rel=1e-9
    )
    assert 30 < len(series.points) <= MOST_DAYS
    assert [point.day for point in series.points] == sorted({point.day for point in series.points})


def test_a_day_knows_nothing_of_later_ones(tmp_path: Path) -> None:
    table = over_days(9)
    before = table["day"] <= "2026-03-05"
    case, found = opened(write(tmp_path, table, THIN + "winsorise = 0.99\n"))
    (all_days,) = effects_over_time(case, found)
    early = {name: column[before] for name, column in table.items()}
    (so_far,) = effects_over_time(*opened(write(tmp_path, early, THIN + "winsorise = 0.99\n")))
    assert len(so_far.points) == 5
    assert all_days.points[:5] == so_far.points
    assert effects_over_time(case, found, known_after_days=30)[0].points[0].day == date(2026, 3, 31)


def opened(path: Path) -> tuple[Case, Units]:
    return case_of_file(path, path.parent / "units.parquet")


def spread_of(folder: Path, spend: np.ndarray) -> Distribution:
    table = units()
    table["spend"] = spend
    (spread,) = distributions_of(*opened(write(folder, table, THIN)))
    assert spread.zero + spread.shares.sum(axis=1) + spread.beyond == pytest.approx([1.0, 1.0])
    for k, arm in enumerate(spread.arms):
        assert spread.zero[k] == pytest.approx(np.mean(table["spend"][table["arm"] == arm] == 0))
    return spread


@pytest.mark.parametrize("far", [20, 100])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_few_far_out_do_not_hide_how_the_others_are_spread(tmp_path: Path, far: int, sign: int) -> None:
    """Of 1,350 units that aren't 0, less and more than the hundredth that is cut in any case."""
    spend = np.where(np.arange(4_000) % 3 > 0, 0.0, units()["spend"])
    spend[:far] = 1e6
    spread = spread_of(tmp_path, sign * spend)
    assert spread.beyond.max() >= 0.9 * far / 4_000
    assert np.abs(spread.edges).max() < 1_000
    assert (spread.shares.sum(axis=0) > 0).sum() > BINS / 3


def test_what_is_drawn_begins_at_0_only_where_that_is_near(tmp_path: Path) -> None:
    spend = units()["spend"] + 0.1
    assert spread_of(tmp_path, spend).edges[0] == 0
    assert spread_of(tmp_path, spend + 1e5).edges[0] > 9e4
    counts = spread_of(tmp_path, np.arange(4_000) % 5)
    assert counts.edges.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]


NASTY = "<script>alert('$x_1$')</script>"


def test_names_and_files_cannot_become_markup(tmp_path: Path) -> None:
    table = over_days(1)
    table["arm"] = np.where(table["arm"] == "new", NASTY, "old")
    table["zone"] = np.where(np.arange(4_000) % 2, NASTY, "$\\frac{")
    case = THIN.replace("new = 1", f'"{NASTY}" = 1').replace('name = "small"', f'name = "{NASTY}"')
    html = shown(write(tmp_path, table, case + f"# {NASTY}\n"))[1]
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("same", [["spend"], ["day", "zone"]])
def test_a_page_is_made_of_hardly_any_data_too(tmp_path: Path, same: list[str]) -> None:
    table = over_days(3)
    table.update({name: np.repeat(table[name][:1], 4_000) for name in same})
    table["zone"][:1] = "alone"
    analysis, html = shown(write(tmp_path, table, THIN))
    assert "<h1" in html
    assert (analysis.state is State.NOT_ENOUGH_DATA) == ("spend" in same)


def test_bars_without_an_end_are_drawn(tmp_path: Path) -> None:
    analysis, _ = read(write(tmp_path, units(), THIN))
    first = analysis.results[0]
    endless = replace(first.absolute, effect=replace(first.absolute.effect, low=-math.inf, high=math.inf))
    analysis = replace(analysis, results=(replace(first, absolute=endless),), segments=())
    evidence = Evidence()
    assert "unbounded" in html_of(page(analysis, evidence, pictures_of(analysis, evidence)), made_at=NOW)


def test_pre_period_balance_is_of_what_was_randomised(tmp_path: Path) -> None:
    """Forty rows of each of a few customers: by rows their differences would look like a broken trial."""
    table = units()
    table["id"] = np.arange(4_000) % 100
    table["arm"] = np.where(table["id"] % 2, "new", "old")
    level = np.random.default_rng(8).normal(size=100) + np.where(np.arange(100) % 2, 0.4, 0.0)
    found = {}
    for shift in (0.0, 5.0):
        table["before"] = (level + shift * (np.arange(100) % 2))[table["id"]]
        for name, case in (("rows", THIN), ("customers", CLUSTERED)):
            checks = read(write(tmp_path, table, case.replace(*WITH_COVARIATE)))[0].checks
            (found[name, shift],) = (check.finding for check in checks if check.name == "pre-period balance")
    assert found == {
        ("rows", 0.0): "unsound",
        ("customers", 0.0): "sound",
        ("rows", 5.0): "unsound",
        ("customers", 5.0): "unsound",
    }


@pytest.mark.skipif(not HILLSTROM.exists(), reason=f"Hillstrom's trial is not in {HILLSTROM}")
def test_hillstroms_page_says_what_was_published() -> None:
    case, found = case_of_file(CASE, HILLSTROM / "hillstrom.parquet")
    analysis = analyse(case, found)
    text = text_of(html_of(page(analysis, evidence_of(analysis, found), UNDRAWN), made_at=NOW))
    assert "Mens E-Mail and Womens E-Mail are better than No E-Mail" in text
    for said in ("+0.7698 [+0.4851, +1.055]", "+0.4244 [+0.169, +0.6799]", "18.28 % against 10.62 %", "15.14 %"):
        assert said in text
