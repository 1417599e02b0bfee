"""What pacing keeps of a budget: the offline optimum by hand, and the report on small shops."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from experiments.budget_report import kept, month
from experiments.budget_world import Stream, optimum, spend
from experiments.commands import simulate

# Four customers, one offer: gains 1, 2, 3 and -1 at costs 1, 1, 2 and 1.
COST = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 2.0], [0.0, 1.0]])
VALUE = np.array([[5.0, 6.0], [5.0, 7.0], [5.0, 8.0], [5.0, 4.0]])
FOUR = Stream(np.array([0.1, 0.3, 0.6, 0.9]), VALUE, COST, held=COST, validity=1.0)


@pytest.mark.parametrize(
    ("amount", "best"), [(1.0, 2.0), (3.0, 5.0), (2.0, 2.0 + 3.0 / 2), (3.5, 5.0 + 1.0 / 2), (9.0, 6.0)]
)
def test_the_optimum_takes_the_best_value_for_money_and_parts_of_the_last(amount: float, best: float) -> None:
    assert optimum(FOUR, amount) == pytest.approx(best)


def test_the_first_comers_take_what_there_is() -> None:
    found = spend(FOUR, 2.0, steps=10, paced=False)
    assert found.gain == 3.0
    assert found.path.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert not found.prices.any()


def test_a_reservation_comes_back_when_its_offer_expires() -> None:
    held = Stream(FOUR.at, VALUE, COST, held=2.0 * COST, validity=0.15)
    found = spend(held, 4.0, steps=100, paced=False)
    # The first takes 2 and leaves 1; so does the second, after which the third, who needs 4, does not fit.
    assert found.gain == 3.0
    assert found.path.max() == pytest.approx(0.75)
    assert found.path[-1] == 0.5


def test_pacing_beats_first_come_in_a_simulated_shop() -> None:
    stream = month(150, customers=3_000)
    scarce = kept(stream, 1 / 3, reserved=False)
    assert scarce.share(scarce.first_come) < 0.75
    assert 0.93 < scarce.share(scarce.paced) <= 1.0
    ample = kept(stream, 2.0, reserved=False)
    assert ample.share(ample.paced) == ample.share(ample.first_come) == pytest.approx(1.0)


def test_the_command_prints_a_line_a_budget_and_plots(tmp_path: Path) -> None:
    done = CliRunner().invoke(simulate, ["--budget", "--seeds", "2", "--customers", "600", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "33%, reserved" in done.output
    assert "first come" in done.output
    assert (tmp_path / "budget.png").stat().st_size > 5_000
