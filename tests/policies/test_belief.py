"""The bandit's two memories: the recent one takes over when something has changed, and hardly ever when not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from decision.policies.belief import CLEAR, Belief
from decision.policies.posterior import Posterior, sigmoid
from decision.records import FloatArray

P = 6
VARIANCE = np.full(P, 0.3**2)
BATCH = 100


def stream(seed: int, batches: int, *, weights: FloatArray) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(batches):
        design = rng.normal(size=(BATCH, P))
        offset = np.full(BATCH, -2.0)
        outcome = (rng.random(BATCH) < sigmoid(offset + design @ weights)).astype(float)
        found.append((design, offset, outcome))
    return found


def learned(
    batches: list[tuple[FloatArray, FloatArray, FloatArray]], belief: Belief | None = None
) -> tuple[Belief, int]:
    """Return the belief after batches, and how often the recent memory took over."""
    belief = belief or Belief.start(Posterior.prior(VARIANCE), VARIANCE)
    taken = 0
    for batch in batches:
        before = belief
        belief = belief.updated(*batch)
        taken += belief.lead == 0.0 and belief.lasting.mean is belief.recent.mean and before is not belief
    return belief, taken


def truth(seed: int) -> FloatArray:
    return np.random.default_rng([seed, 1]).normal(size=P) * 0.3


def test_without_a_change_it_is_the_plain_posterior() -> None:
    batches = stream(1, 60, weights=truth(1))
    belief, taken = learned(batches)
    plain = Posterior.prior(VARIANCE)
    for batch in batches:
        plain = plain.updated(*batch)
    assert taken == 0
    np.testing.assert_array_equal(belief.lasting.mean, plain.mean)
    assert belief.seen == plain.n == 60 * BATCH


def test_it_hardly_ever_takes_noise_for_a_change() -> None:
    assert sum(learned(stream(seed, 80, weights=truth(seed)))[1] for seed in range(20)) <= 2


def test_it_notices_a_change_and_then_knows_better() -> None:
    noticed, closer = 0, 0
    for seed in range(10):
        before, after = truth(seed), truth(seed + 100)
        belief, _ = learned(stream(seed, 60, weights=before))
        changed, taken = learned(stream(seed + 50, 30, weights=after), belief)
        noticed += taken > 0
        plain = belief.lasting
        for batch in stream(seed + 50, 30, weights=after):
            plain = plain.updated(*batch)
        closer += np.abs(changed.lasting.mean - after).sum() < np.abs(plain.mean - after).sum()
    assert noticed >= 8
    assert closer >= 8


def test_after_a_change_it_explores_again() -> None:
    belief, _ = learned(stream(1, 60, weights=truth(1)))
    opposite, taken = learned(stream(2, 10, weights=-3 * truth(1)), belief)
    assert taken >= 1
    assert opposite.lasting.n < belief.lasting.n
    assert opposite.seen == 70 * BATCH


def test_nothing_new_changes_nothing() -> None:
    belief = Belief.start(Posterior.prior(VARIANCE), VARIANCE)
    assert belief.updated(np.zeros((0, P)), np.zeros(0), np.zeros(0)) is belief
    assert CLEAR > 0


def test_the_recent_memory_is_never_surer_than_what_it_remembers() -> None:
    belief, _ = learned(stream(3, 200, weights=truth(3)))
    assert np.diag(belief.recent.precision).max() < 0.5 * np.diag(belief.lasting.precision).min()
    assert (np.diag(belief.recent.precision) > 1 / VARIANCE).all()


@pytest.mark.parametrize("seed", range(3))
def test_what_is_seen_in_part_has_the_likelihood_of_what_is_seen(seed: int) -> None:
    """Against a numerical optimum."""
    rng = np.random.default_rng(seed)
    n, prior = 200, Posterior.prior(np.full(3, 0.5))
    design, offset, seen = rng.normal(size=(n, 3)), rng.normal(size=n) - 1, rng.uniform(0.05, 1.0, n)
    seen[: n // 4] = 1.0
    outcome = (rng.random(n) < seen * sigmoid(offset)).astype(float)

    def loss(weights: FloatArray) -> float:
        p = seen * sigmoid(offset + design @ weights)
        return float(-(outcome * np.log(p) + (1 - outcome) * np.log1p(-p)).sum() + weights @ weights)

    found = prior.updated(design, offset, outcome, seen=seen)
    brute = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(found.mean, brute.x, atol=1e-5)


def test_everything_seen_is_the_plain_update() -> None:
    (design, offset, outcome), *_ = stream(1, 1, weights=truth(1))
    prior = Posterior.prior(VARIANCE)
    plain, told = prior.updated(design, offset, outcome), prior.updated(design, offset, outcome, seen=np.ones(BATCH))
    np.testing.assert_array_equal(plain.mean, told.mean)
    np.testing.assert_array_equal(plain.precision, told.precision)


def test_what_is_hardly_seen_teaches_hardly_anything() -> None:
    (design, offset, _), *_ = stream(1, 1, weights=truth(1))
    prior = Posterior.prior(VARIANCE)
    found = prior.updated(design, offset, np.zeros(BATCH), seen=np.full(BATCH, 0.02))
    np.testing.assert_allclose(found.precision, prior.precision, atol=0.5)
    assert np.abs(found.mean).max() < 0.05
