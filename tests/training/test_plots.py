"""Plots that people read: nothing is cut off, no label lies on another, whatever the number and length of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from decision.policies.action_features import ActionFeatures
from decision.programme.model import Programme
from decision.records import action_named
from experiments import plots
from experiments.dataset import Dataset
from experiments.encoding import encode_all, fit_encoder
from experiments.learners import LEARNERS
from experiments.off_policy import Estimate
from experiments.selection import Candidate, cross_fit
from experiments.train_report import candidate_metrics, constant_target, constant_values, figures
from experiments.train_trials import offer_trials
from experiments.uplift_metrics.calibration import Calibration, calibration
from experiments.uplift_metrics.curve import Curve
from experiments.uplift_metrics.qini import qini
from experiments.uplift_metrics.trial import Trial

LONG = ("buy_three_get_one_free_of_equal_or_lower_value", "a_very_long_name_for_the_clearance_sale_of_the_summer")


def names(n: int) -> list[str]:
    """Return n names, the last two of them long."""
    return [*(f"offer_{i:02d}" for i in range(n)), *LONG][-n:]


def texts(figure: Figure) -> list[tuple[Text, Any]]:
    """Return the texts that are drawn with their places in pixels; ticks outside the axes are not drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for ax in figure.axes:
        found += [child for child in ax.get_children() if isinstance(child, Text)]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            found += [axis.label, *(label for place, label in ticks if low - 1e-9 <= place <= high + 1e-9)]
    return [(text, text.get_window_extent(canvas.get_renderer())) for text in found if text.get_text()]


def check(figure: Figure) -> None:
    """Hold a figure to being readable."""
    drawn = texts(figure)
    width, height = figure.canvas.get_width_height()
    for text, box in drawn:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text.get_text()!r} is cut off"
    level = [(t, box) for t, box in drawn if t.get_rotation() in (0.0, 90.0)]
    for (one, a), (two, b) in combinations(level, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        along = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert not (across > 1.0 and along > 1.0), f"{one.get_text()!r} lies on {two.get_text()!r}"


@pytest.fixture(scope="module")
def measured() -> tuple[Curve, Calibration]:
    rng = np.random.default_rng(1)
    cate, treated = rng.normal(0.05, 0.05, 2_000), rng.random(2_000) < 0.5
    bought = (rng.random(2_000) < 0.1 + treated * cate.clip(0.0)).astype(float)
    trial = Trial(bought, treated, cate, np.full(2_000, 0.5))
    return qini(trial, seed=1, replicates=50), calibration(trial)


@pytest.mark.parametrize("n", [2, 3, 20])
def test_uplift_plots_have_a_panel_for_every_offer(measured: tuple[Curve, Calibration], n: int) -> None:
    for figure in (
        plots.qini_curves({name: measured[0] for name in names(n)}),
        plots.calibrations({name: measured[1] for name in names(n)}),
    ):
        check(figure)
        assert len(figure.axes) == n
        assert figure.get_figwidth() <= 18.0


@pytest.mark.parametrize("n", [2, 3, 20])
def test_values_of_policies_are_readable(n: int) -> None:
    values = {
        f"always {name}@web_push": Estimate(i, 0.5, i - 1.0, i + 1.0, 99, 80.0) for i, name in enumerate(names(n))
    }
    title = "Value on customers nobody was trained on (doubly robust)"
    figure = plots.policy_values(values, title=title, unit="EUR", marked=())
    check(figure)
    assert figure.axes[0].get_ylim()[0] < -0.3
    assert title in [text.get_text() for text, _ in texts(figure)]


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_the_map_of_who_gets_what_is_readable(n: int) -> None:
    shares = np.random.default_rng(1).dirichlet(np.ones(n), 12)
    rows = ["everybody", *(f"favourite_category_of_products_last_year = {i}" for i in range(11))]
    columns = [f"{name}@web_push" for name in names(n)]
    figure = plots.who_gets_what(shares, rows=rows, columns=columns, sizes=[123_456] * 12)
    check(figure)
    assert figure.axes[0].get_window_extent().height > 12 * 20, "rows must be as high as their letters"


@pytest.mark.parametrize(("seeds", "periods"), [(1, 1), (1, 9), (5, 9), (5, 40)])
def test_regret_over_time_is_readable(seeds: int, periods: int) -> None:
    curves = {name: np.full((seeds, periods), float(i)) for i, name in enumerate(("Encore", "best constant", "usual"))}
    figure = plots.regret_over_time(curves, title="Regret per decision over time", xlabel="period", ylabel="EUR")
    check(figure)
    ticks = figure.axes[0].get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))


def test_the_band_of_regret_is_students() -> None:
    """Three shops at 1, 2 and 3: the half width is 4.3027 / sqrt(3)."""
    figure = plots.regret_over_time({"Encore": np.array([[1.0], [2.0], [3.0]])}, title="", xlabel="", ylabel="")
    (band,) = figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() - 2.0 == pytest.approx(4.302653 / np.sqrt(3.0), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "longest", "expected"),
    [("short", 5, "short"), ("abcdefghijkl", 7, "abcd…kl"), ("abcdefgh", 8, "abcdefgh")],
)
def test_names_are_shortened_in_the_middle(name: str, longest: int, expected: str) -> None:
    assert plots.short(name, longest) == expected


@pytest.fixture(scope="module")
def chosen(data: Dataset, shop: Programme) -> Candidate:
    encoder = fit_encoder(data.contexts)
    of = ActionFeatures([action_named(a) for a in data.catalogue], encoder.width)
    x, only = encode_all(encoder, data.contexts), {"pooled_linear": LEARNERS["pooled_linear"]}
    return cross_fit(data, x, of, shop, folds=2, repeats=1, seed=1, learners=only)[0]


def labels(figure: Figure) -> Sequence[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_a_training_run_draws_its_plots(data: Dataset, chosen: Candidate, shop: Programme) -> None:
    found = figures(data, chosen, shop, seed=1)
    assert set(found) == {
        "policy_value",
        "who_gets_what",
        "four_groups",
        "cost_curve",
        "uplift_by_decile",
        "qini",
        "calibration",
    }
    for figure in found.values():
        check(figure)
    assert set(labels(found["policy_value"])) == {
        "pooled_linear",
        "always control",
        "always discount@email",
        "always bogo@on_page",
    }
    assert f"everybody  (n={len(data):,})" in labels(found["who_gets_what"])
    assert any(label.startswith("tier = gold") for label in labels(found["who_gets_what"]))


def test_trials_of_offers_compare_like_with_like(data: Dataset, chosen: Candidate) -> None:
    trials = offer_trials(data, chosen.odds)
    assert set(trials) == {"bogo", "discount"}
    for trial in trials.values():
        # One in three got the offer, one in three nothing: among these, every second.
        np.testing.assert_allclose(trial.treatment_probability, 0.5)
        assert len(trial) == pytest.approx(2 / 3 * len(data), rel=0.05)


def test_constant_policies_are_control_where_the_action_was_not_allowed(data: Dataset) -> None:
    allowed = data.allowed.copy()
    allowed[:10, 2] = False
    target = constant_target(replace(data, allowed=allowed), 2)
    np.testing.assert_array_equal(target[:10], [[1.0, 0.0, 0.0]] * 10)
    np.testing.assert_array_equal(target[10:, 2], 1.0)
    np.testing.assert_array_equal(target.sum(axis=1), 1.0)


def test_the_chosen_policy_is_worth_the_same_in_plot_and_metrics(data: Dataset, chosen: Candidate) -> None:
    """With the chosen learner as its own reward model, as here, both are one number."""
    drawn, logged = constant_values(data, chosen)["pooled_linear"], candidate_metrics(chosen, data.customers)
    assert drawn.value == pytest.approx(logged["policy_value"])
    assert (drawn.low, drawn.high) == pytest.approx((logged["policy_value_low"], logged["policy_value_high"]))
