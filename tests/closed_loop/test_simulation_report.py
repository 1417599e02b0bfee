"""The report's arithmetic, on results made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.simulate import POLICIES, Result
from experiments.simulate_report import PERIOD_DAYS, captured, interval, regret_figure, table

# A constant value a day for each policy, in the order of `POLICIES`.
LEVELS = {"oracle": 5.0, "Encore": 4.0, "best constant": 3.0, "business as usual": 2.0, "uniform": 1.0, "control": 0.5}


def result(seed: int = 1, *, days: int = 30, promoted: bool = True, **levels: float) -> Result:
    named = {**LEVELS, **{name.replace("_", " "): level for name, level in levels.items()}}
    daily = np.repeat([[named[policy]] for policy in POLICIES], days, axis=1)
    return Result(seed, promoted, ("Promote the challenger.",), "bogo@email", daily, np.full(days, 10.0), 3.5)


def test_the_interval_over_seeds_is_students_by_hand() -> None:
    """Mean 2, standard deviation 1, three seeds: 4.3027 standard errors of 1 / sqrt(3)."""
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.302653 / np.sqrt(3.0), rel=1e-6)
    assert mean - low == pytest.approx(high - mean)


def test_a_single_seed_says_nothing_of_the_spread() -> None:
    assert interval([2.0]) == (2.0, -np.inf, np.inf)


def test_seeds_that_agree_leave_no_doubt() -> None:
    assert interval([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)


def test_days_count_by_their_decisions() -> None:
    daily = np.zeros((len(POLICIES), 3))
    daily[POLICIES.index("Encore")] = [1.0, 2.0, 6.0]
    found = Result(1, True, (), "bogo@email", daily, np.array([30.0, 10.0, 10.0]), 0.0)
    assert found.value("Encore") == pytest.approx((30 * 1.0 + 10 * 2.0 + 10 * 6.0) / 50)
    assert found.value("Encore", last=2 / 3) == pytest.approx(4.0)
    assert found.value("Encore", last=1 / 3) == pytest.approx(6.0)


def test_a_day_on_which_nobody_came_counts_nothing() -> None:
    daily = np.zeros((len(POLICIES), 2))
    daily[:, 0] = 3.0
    assert Result(1, True, (), "bogo@email", daily, np.array([10.0, 0.0]), 0.0).value("Encore") == 3.0


@pytest.mark.parametrize(("encore", "share"), [(3.0, 0.0), (4.0, 0.5), (5.0, 1.0), (2.0, -0.5)])
def test_captured_is_the_share_of_the_headroom_above_the_best_constant(encore: float, share: float) -> None:
    assert captured(result(Encore=encore)) == pytest.approx(share)


def test_the_table_by_hand() -> None:
    """Two shops in which Encore makes 3.9 and 4.1: mean 4, half width 12.7062 times 0.1."""
    lines = list(table([result(1, Encore=3.9, promoted=False), result(2, Encore=4.1)]))
    assert lines[0] == "simulated: 2 shops, 600 decisions of the policy group; EUR per decision, 95 % intervals"
    assert [line[:20].strip() for line in lines[2:8]] == list(POLICIES)
    assert lines[3].split() == ["Encore", "4.0000", "[2.7294,", "5.2706]", "4.0000", "[2.7294,", "5.2706]"]
    assert lines[8] == "Encore - best constant over all days: +1.0000 [-0.2706, +2.2706]"
    assert lines[9] == "Encore - best constant in the last third: +1.0000 [-0.2706, +2.2706]"
    assert lines[10] == "Encore - business as usual over all days: +2.0000 [+0.7294, +3.2706]"
    assert lines[12] == "of the headroom between best constant and oracle Encore takes 50 % [-14, 114]"
    assert lines[13] == "on the trial alone, the gate would have promoted 1 of 2"
    assert len(lines) == 14


def test_gains_are_paired_by_shop() -> None:
    """Shops differ by 10, policies within a shop by 1: the difference is certain."""
    shops = [result(1), result(2, **{name.replace(" ", "_"): level + 10.0 for name, level in LEVELS.items()})]
    gain = next(line for line in table(shops) if line.startswith("Encore - best constant over"))
    assert gain.endswith("+1.0000 [+1.0000, +1.0000]")


def curves(figure: Figure) -> dict[str, list[float]]:
    (ax,) = figure.axes
    return {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in ax.lines}


def test_regret_is_the_distance_to_the_oracle_by_period() -> None:
    daily = result(days=2 * PERIOD_DAYS + 5).daily.copy()
    daily[POLICIES.index("Encore"), PERIOD_DAYS:] = 4.5
    learns = Result(1, True, (), "bogo@email", daily, np.full(2 * PERIOD_DAYS + 5, 10.0), 0.0)
    found = curves(regret_figure([learns]))
    assert found["Encore"] == [1.0, 0.5]
    assert found["best constant"] == [2.0, 2.0]
    assert set(found) == set(POLICIES) - {"oracle"}


def test_regret_of_a_period_counts_decisions_not_days() -> None:
    daily = result(days=PERIOD_DAYS).daily.copy()
    daily[POLICIES.index("Encore"), 0] = 5.0
    decisions = np.full(PERIOD_DAYS, 1.0)
    decisions[0] = 91.0
    found = curves(regret_figure([Result(1, True, (), "bogo@email", daily, decisions, 0.0)]))
    assert found["Encore"] == pytest.approx([0.09])


def test_the_plot_can_be_drawn(tmp_path: Path) -> None:
    regret_figure([result(1), result(2)]).savefig(tmp_path / "regret.png")
    assert (tmp_path / "regret.png").stat().st_size > 0
