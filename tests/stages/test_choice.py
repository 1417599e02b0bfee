"""The floor is additive and exact; the sample inverts exactly the distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.errors import EncoreError
from decision.stages.choice import draw_for, sample, with_floor


@st.composite
def distributions(draw: st.DrawFn) -> np.ndarray:
    weights = draw(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=24))
    p = np.array(weights) + (1.0 if sum(weights) == 0.0 else 0.0)
    return p / p.sum()


@given(distributions(), st.floats(0.0, 0.5))
def test_the_floor_is_additive(p: np.ndarray, floor: float) -> None:
    floored, k = with_floor(p, floor), len(p)
    if k * floor <= 1.0:
        np.testing.assert_array_equal(floored, (1.0 - k * floor) * p + floor)
        assert floored.min() >= floor * (1 - 1e-12)
    else:
        np.testing.assert_allclose(floored, 1.0 / k, rtol=1e-12)
    assert floored.sum() == pytest.approx(1.0, abs=1e-12)


def test_control_alone_keeps_probability_one_under_any_floor() -> None:
    assert with_floor(np.array([1.0]), 0.01).tolist() == [1.0]


@given(distributions(), st.floats(0.0, 1.0, exclude_max=True))
def test_a_sample_lies_in_its_own_interval(p: np.ndarray, draw: float) -> None:
    chosen = sample(p, draw=draw)
    edges = np.concatenate([[0.0], np.cumsum(p)])
    assert p[chosen] > 0.0
    assert edges[chosen] <= draw
    assert draw < edges[chosen + 1] or chosen == np.flatnonzero(p)[-1]


@pytest.mark.parametrize(
    ("p", "draw", "chosen"),
    [
        ([0.25, 0.75], 0.0, 0),
        ([0.25, 0.75], 0.25, 1),
        ([0.0, 1.0], 0.0, 1),
        ([0.5, 0.5, 0.0], 1.0 - 2**-53, 1),
        ([0.0, 0.0, 1.0], 0.999, 2),
    ],
)
def test_samples_by_hand(p: list[float], draw: float, chosen: int) -> None:
    assert sample(np.array(p), draw=draw) == chosen


@pytest.mark.parametrize("p", [[0.5, 0.4], [1.5, -0.5], [float("nan"), 1.0], [float("nan")], [float("inf"), 0.0]])
def test_what_is_no_distribution_is_refused(p: list[float]) -> None:
    with pytest.raises(EncoreError, match="sum to 1"):
        sample(np.array(p), draw=0.3)


def test_the_draw_is_replayed_by_id_and_fresh_by_attempt() -> None:
    # Goldens: a logged decision can be replayed by a later Encore.
    assert draw_for("d-1", salt="pepper", attempt=0) == 0.3961270706810346
    assert draw_for("d-1", salt="pepper", attempt=1) == 0.9905893281446092
    assert draw_for("d-2", salt="pepper", attempt=0) == 0.3963570964980605
