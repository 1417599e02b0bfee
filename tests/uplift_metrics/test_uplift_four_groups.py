"""The four groups: what is observed in predicted groups, and bounds that hold whatever the model thinks."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.uplift_metrics import Kind, Segment, Thresholds, clustered_mean, four_groups, robust_scores
from experiments.uplift_metrics.four_groups import bounds, kinds

THRESHOLDS = Thresholds(noticeable=0.05, sure=0.5)
Odds = np.ndarray


def known_world(n: int, *, seed: int, blind: bool = False) -> tuple[dict[Kind, float], tuple[Segment, ...]]:
    """A fair trial in which both fates of everybody are known; returns the true shares and the segments found."""
    rng = np.random.default_rng(seed)
    x = rng.integers(4, size=n)
    untreated = np.array([0.1, 0.8, 0.3, 0.6])[x]
    treated = np.array([0.5, 0.8, 0.3, 0.2])[x]
    without, with_it = rng.random(n) < untreated, rng.random(n) < treated
    action = rng.integers(2, size=n)
    outcome = np.where(action == 1, with_it, without).astype(float)
    predicted = np.full((n, 2), 0.4) if blind else np.column_stack([untreated, treated])
    scores = robust_scores(outcome, action, np.full(n, 0.5), predicted, np.ones((n, 2), dtype=bool))
    pair = (scores[:, 0], scores[:, 1])
    found = four_groups(predicted[:, 0], predicted[:, 1], pair, None, thresholds=THRESHOLDS)
    shares = {
        Kind.PERSUADABLE: (~without & with_it).mean(),
        Kind.SURE_THING: (without & with_it).mean(),
        Kind.LOST_CAUSE: (~without & ~with_it).mean(),
        Kind.SLEEPING_DOG: (without & ~with_it).mean(),
    }
    return {kind: float(share) for kind, share in shares.items()}, found


def test_groups_part_at_the_thresholds() -> None:
    untreated = np.array([0.1, 0.6, 0.1, 0.6, 0.50])
    treated = np.array([0.2, 0.62, 0.12, 0.4, 0.54])
    assert kinds(untreated, treated, THRESHOLDS).tolist() == [
        "persuadable",
        "sure_thing",
        "lost_cause",
        "sleeping_dog",
        "sure_thing",
    ]


def test_thresholds_follow_how_often_customers_come_back_by_themselves() -> None:
    assert Thresholds.relative_to(0.3) == Thresholds(noticeable=pytest.approx(0.03), sure=0.3)


def test_groups_hold_everybody_once_and_show_the_uplift_there() -> None:
    _, found = known_world(20_000, seed=1)
    assert [segment.kind for segment in found] == list(Kind)
    assert sum(segment.share.value for segment in found) == pytest.approx(1.0)
    for segment, true in zip(found, (0.4, 0.0, 0.0, -0.4), strict=True):
        assert segment.share.value == pytest.approx(0.25, abs=0.02)
        assert segment.predicted == pytest.approx(true)
        assert segment.observed is not None
        assert segment.observed.low - 0.02 <= true <= segment.observed.high + 0.02


def test_an_empty_group_shows_no_uplift() -> None:
    _, found = known_world(2_000, seed=1, blind=True)
    empty = [segment for segment in found if segment.share.value == 0.0]
    assert len(empty) == 3
    for segment in empty:
        assert segment.observed is None
        assert segment.predicted == 0.0


@pytest.mark.parametrize("blind", [False, True])
def test_the_true_shares_lie_within_the_bounds(blind: bool) -> None:
    """Also with a model that sees nothing; 40 worlds, of which an interval may miss a few."""
    missed = 0
    for seed in range(40):
        shares, found = known_world(1_500, seed=seed, blind=blind)
        for segment in found:
            missed += not segment.truth.low.low <= shares[segment.kind] <= segment.truth.high.high
    assert missed <= 4


def test_who_sees_customers_bounds_more_tightly() -> None:
    def width(segments: tuple[Segment, ...]) -> float:
        return sum(segment.truth.high.value - segment.truth.low.value for segment in segments)

    assert width(known_world(20_000, seed=1)[1]) < 0.75 * width(known_world(20_000, seed=1, blind=True)[1])


def test_bounds_equal_a_computation_on_paper() -> None:
    """Two kinds of customers, odds (0.1, 0.7) and (0.6, 0.5), as exact scores: Frechet within each, averaged."""
    untreated, treated = np.array([0.1, 0.6]), np.array([0.7, 0.5])
    expected = {
        Kind.PERSUADABLE: ((0.6 + 0.0) / 2, (0.7 + 0.4) / 2),
        Kind.SURE_THING: ((0.0 + 0.1) / 2, (0.1 + 0.5) / 2),
        Kind.LOST_CAUSE: ((0.2 + 0.0) / 2, (0.3 + 0.4) / 2),
        Kind.SLEEPING_DOG: ((0.0 + 0.1) / 2, (0.1 + 0.5) / 2),
    }
    for kind, (low, high) in expected.items():
        found = bounds(kind, untreated, treated, (untreated, treated), None)
        assert (found.low.value, found.high.value) == pytest.approx((low, high))


def test_persuadables_less_sleeping_dogs_are_the_average_uplift() -> None:
    """What the bounds leave open cancels: both ends differ by the same, the average uplift."""
    rng = np.random.default_rng(1)
    untreated, treated, *pair = rng.random((4, 500))
    scores = (pair[0], pair[1])
    persuaded, driven_away = (
        bounds(kind, untreated, treated, scores, None) for kind in (Kind.PERSUADABLE, Kind.SLEEPING_DOG)
    )
    uplift = float((scores[1] - scores[0]).mean())
    assert persuaded.low.value - driven_away.low.value == pytest.approx(uplift)
    assert persuaded.high.value - driven_away.high.value == pytest.approx(uplift)


def test_shares_know_that_customers_come_twice() -> None:
    inside = np.repeat(np.array([1.0, 0.0] * 50), 3)
    ids = np.repeat(np.arange(100), 3)
    assert clustered_mean(inside, ids).standard_error == pytest.approx(np.sqrt(0.25 / 99))
