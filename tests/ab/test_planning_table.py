"""What `encore ab plan` promises comes true when the test is run; what can't be planned is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from decision.cli import main

CASE = """\
[case]
name = "spring"
file = "past.parquet"
[arms]
column = "arm"
control = "old"
[arms.shares]
old = {old}
new = 1
[plan]
kind = "fixed"
units = 20000
correction = "none"
[metrics.bought]
kind = "proportion"
role = "primary"
column = "bought"
[planning]
starts = {starts}
answer_by = 2027-06-30
units_per_day = 500
[planning.effects]
bought = {effect}
"""


def planned(folder: Path, rate: float, effect: float, *, old: float = 1, starts: str = "2026-12-01") -> Result:
    bought = (np.arange(10_000) < 10_000 * rate).astype(float)
    pq.write_table(pa.table({"bought": bought}), folder / "past.parquet")
    (folder / "case.toml").write_text(CASE.format(old=old, effect=effect, starts=starts))
    return CliRunner().invoke(main, ["ab", "plan", str(folder / "case.toml"), "--json"])


def found_in(units: float, rate: float, effect: float, old: float) -> float:
    """How many of 20,000 trials find the effect, each read by Welch's interval."""
    rng = np.random.default_rng(1)
    n, m = round(units * old / (old + 1)), round(units / (old + 1))
    a, b = rng.binomial(n, rate, 20_000) / n, rng.binomial(m, rate + effect, 20_000) / m
    return float(np.mean(np.abs(b - a) > 1.96 * np.sqrt(a * (1 - a) / n + b * (1 - b) / m + 1e-12)))


@pytest.mark.parametrize(("rate", "effect", "old"), [(0.01, 0.01, 1), (0.05, -0.02, 1), (0.02, 0.01, 0.25)])
def test_shares_are_found_as_often_as_was_promised(tmp_path: Path, rate: float, effect: float, old: float) -> None:
    """A share that doubles varies twice as much: with the past's variance alone 63 of 100 are found for 80."""
    outlook = json.loads(planned(tmp_path, rate, effect, old=old).stdout)["rows"][0]
    fixed = next(one for one in outlook["forecasts"] if one["plan"]["kind"] == "fixed")
    assert fixed["power"] == pytest.approx(0.8, abs=1e-3)
    assert found_in(fixed["units"], rate, effect, old) == pytest.approx(0.8, abs=0.025)
    assert found_in(20_000, rate, outlook["smallest"], old) == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"effect": 1.5}, "leaves a share between 0 and 1, found 1.5 on 0.1. Effects on shares are in points"),
        ({"effect": -0.2}, "leaves a share between 0 and 1, found -0.2"),
        ({"effect": 0.01, "old": 1e-6}, "two units or more in every arm, found 0.02 for 'old'"),
        ({"effect": 0.01, "rate": 0.0}, "Planning needs past units that vary, found 0 for bought in all."),
    ],
)
def test_what_cannot_be_planned_is_refused(tmp_path: Path, settings: dict[str, float], said: str) -> None:
    result = planned(tmp_path, **{"rate": 0.1, **settings})
    assert result.exit_code == 2
    assert said in result.output


def test_days_after_the_last_one_are_not_in_this_lifetime(tmp_path: Path) -> None:
    result = planned(tmp_path, 0.1, 0.01, starts="9999-12-30")
    assert result.exit_code == 1
    planned(tmp_path, 0.1, 0.01, starts="9999-12-30")
    assert "not in this lifetime" in CliRunner().invoke(main, ["ab", "plan", str(tmp_path / "case.toml")]).output
    # An effect so large that hardly any units show it.
    (tmp_path / "case.toml").write_text((tmp_path / "case.toml").read_text().replace('"proportion"', '"mean"'))
    text = (tmp_path / "case.toml").read_text().replace("bought = 0.01", "bought = 1e9")
    (tmp_path / "case.toml").write_text(text.replace("9999-12-30", "2026-12-01"))
    rows = json.loads(CliRunner().invoke(main, ["ab", "plan", str(tmp_path / "case.toml"), "--json"]).stdout)["rows"]
    assert {one["units"] for one in rows[0]["forecasts"]} <= {4, 5, 6}
