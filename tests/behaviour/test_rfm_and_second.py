from itertools import product

import numpy as np
import pytest

from experiments.behaviour import grid, rfm
from experiments.behaviour.base_figures import by_month
from experiments.behaviour.journal import day_of, journal_of
from experiments.behaviour.metrics import auc, compared, ece, log_loss, normalised_gini
from experiments.behaviour.second import curve_of, waits
from experiments.behaviour.state import state_at
from tests.behaviour.shops import OPENED, history, shop

ZERO = day_of(OPENED.date())


def test_every_customer_has_exactly_one_segment_first_fit_first():
    for r, f in product(range(1, 6), repeat=2):
        fits = [name for name, (r0, r1), (f0, f1), _ in rfm.SEGMENTS if r0 <= r <= r1 and f0 <= f <= f1]
        assert fits, (r, f)
    state = state_at(journal_of(shop(300, 200, seed=1).order_lines), ZERO + 200)
    found = rfm.rfm_of(state, rfm.thresholds_of(state))
    assert found.segment.min() >= 0
    assert set(found.recency) == set(found.money) == {1, 2, 3, 4, 5}
    assert (found.frequency == 1).tolist() == (state.purchases == 1).tolist()
    # Who was silent longer never has a higher step.
    order = np.argsort(state.silence)
    assert (np.diff(found.recency[order]) <= 0).all()


def test_one_time_buyers_alone_have_segments_too():
    state = state_at(journal_of(history([(f"c{n}", n, 5.0) for n in range(20)]).order_lines), ZERO + 30)
    found = rfm.rfm_of(state, rfm.thresholds_of(state))
    assert set(found.frequency) == {1}
    assert found.segment.min() >= 0


def test_who_moved_adds_up():
    rows, columns, counts = rfm.migration({"a": "new", "b": "loyal"}, {"a": "loyal", "b": "loyal", "c": "new"})
    assert counts.sum() == 3
    assert counts[rows.index("new"), columns.index("loyal")] == 1
    assert counts[rows.index("not yet"), columns.index("new")] == 1


def test_the_grid_knows_all_its_cells():
    cells = grid.cells(np.array([0.9, 0.9, 0.1, 0.1]), np.array([0.1, 0.5, 0.3, 0.9]))
    assert cells == ["likely-staying", "likely-slipping", "unlikely-staying", "unlikely-leaving"]
    assert grid.counts(cells).sum() == 4
    assert set(grid.WHAT_TO_DO) == set(grid.CELLS)


def test_the_curve_to_the_second_purchase_is_kaplan_meiers():
    # Five customers: back on days 10 and 20, censored on 15 and 30, back on 30.
    waited, returned = np.array([10.0, 20.0, 15.0, 30.0, 30.0]), np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    found = curve_of(waited, returned, seed=1)
    by_hand = {10.0: 1 - 4 / 5, 20.0: 1 - 4 / 5 * 2 / 3, 30.0: 1 - 4 / 5 * 2 / 3 * 1 / 2}
    for day, share in by_hand.items():
        assert found.returned[found.days == day] == pytest.approx(share)


def test_the_deadline_is_where_four_in_five_of_those_who_return_are_back():
    rng = np.random.default_rng(3)
    wait = rng.exponential(40.0, 4000)
    back = rng.random(4000) < 0.6
    watched = np.full(4000, 300.0)
    found = curve_of(
        np.where(back, np.minimum(wait, watched), watched), (back & (wait < watched)).astype(float), seed=1
    )
    # Four fifths of an exponential wait of 40 days.
    assert found.deadline_low <= -40 * np.log(0.2) <= found.deadline_high
    assert found.returned[-1] == pytest.approx(0.6, abs=0.03)


def test_waits_end_with_the_second_purchase_or_at_the_cut():
    journal = journal_of(history([("a", 0, 1.0), ("a", 12, 1.0), ("a", 13, 1.0), ("b", 5, 1.0)]).order_lines)
    waited, returned = waits(journal, ZERO + 20)
    assert waited.tolist() == [12, 15]
    assert returned.tolist() == [1, 0]


def test_metrics_by_hand():
    came, predicted = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])
    assert auc(came, predicted) == 0.75
    assert auc(came, np.full(4, 0.5)) == 0.5
    assert log_loss(np.array([1.0, 0.0]), np.array([0.8, 0.5])) == pytest.approx(-(np.log(0.8) + np.log(0.5)) / 2)
    spent = np.array([0.0, 1.0, 10.0, 100.0])
    assert normalised_gini(spent, spent) == pytest.approx(1.0)
    assert normalised_gini(spent, -spent) == pytest.approx(-1.0)
    rng = np.random.default_rng(0)
    chance = rng.random(20_000)
    came = (rng.random(20_000) < chance).astype(float)
    assert ece(came, chance) < 0.015
    assert ece(came, np.clip(chance + 0.1, 0, 1)) == pytest.approx(0.1, abs=0.02)


def test_a_difference_between_equals_is_undecided_and_a_clear_one_is_clear():
    rng = np.random.default_rng(1)
    chance = rng.random(800)
    came = (rng.random(800) < chance).astype(float)
    assert compared(auc, came, (chance, chance), better=1, seed=1).clearly == "undecided"
    assert compared(auc, came, (chance, rng.random(800)), better=1, seed=1).clearly == "better"
    assert compared(log_loss, came, (np.full(800, 0.5), chance), better=-1, seed=1).clearly == "worse"


def test_figures_by_month_add_up():
    journal = journal_of(
        history([("a", 0, 10.0), ("a", 40, 30.0), ("b", 41, 20.0)], returns=[("a", 45, 5.0)]).order_lines
    )
    months, found = by_month(journal, ZERO + 60)
    assert list(months) == ["2025-01", "2025-02"]
    assert found["customers who bought"].tolist() == [1, 2]
    assert found["basket"].tolist() == [10, 25]
    assert found["came back, % of ordered"].tolist() == [0, 10]
    assert found["purchases by repeat buyers, %"].tolist() == [0, 50]
