"""The bandit's two memories: the recent one takes over when something has changed, and hardly ever when not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from decision.policies.belief import CLEAR, FIRST, TAILS, Belief, Prior
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
    belief = belief or Belief.start(Posterior.prior(VARIANCE), Prior.normal(VARIANCE))
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
    belief = Belief.start(Posterior.prior(VARIANCE), Prior.normal(VARIANCE))
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


def few(weights: int = P) -> Prior:
    return Prior(np.full(weights, 0.1**2), np.ones(weights, dtype=bool))


def test_another_prior_is_as_if_it_had_been_there_from_the_start() -> None:
    """Exactly where outcomes are worth a Gaussian likelihood, as in the posterior's own approximation."""
    rng = np.random.default_rng(1)
    root, pull = rng.normal(size=(P, P)), rng.normal(size=P)
    curvature, before, after = root @ root.T, np.full(P, 0.09), rng.uniform(0.01, 1.0, P)
    learned_so = Posterior(np.linalg.solve(curvature + np.diag(1 / before), pull), curvature + np.diag(1 / before), 7)
    found = learned_so.under(after, before=before)
    np.testing.assert_allclose(found.precision, curvature + np.diag(1 / after), rtol=1e-12)
    np.testing.assert_allclose(found.mean, np.linalg.solve(curvature + np.diag(1 / after), pull), rtol=1e-9)
    assert found.n == 7


def test_where_few_weights_are_large_they_are_told_from_the_others() -> None:
    """The large one is shrunk less and the others more than under one normal prior for all."""
    weights = np.zeros(20)
    weights[3] = 0.8
    batches = []
    for seed in range(30):
        rng = np.random.default_rng([seed, 5])
        design, offset = rng.normal(size=(BATCH, 20)), np.full(BATCH, -1.0)
        batches.append((design, offset, (rng.random(BATCH) < sigmoid(offset + design @ weights)).astype(float)))
    start = Posterior.prior(few(20).variance)
    sparse, _ = learned(batches, Belief.start(start, few(20)))
    normal, _ = learned(batches, Belief.start(start, Prior.normal(few(20).variance)))
    assert abs(sparse.lasting.mean[3] - 0.8) < abs(normal.lasting.mean[3] - 0.8)
    assert np.abs(np.delete(sparse.lasting.mean, 3)).sum() < np.abs(np.delete(normal.lasting.mean, 3)).sum()
    assert sparse.variance[3] > 5 * np.delete(sparse.variance, 3).max()


def test_variances_are_where_expectation_maximisation_leads() -> None:
    """Close to a fixed point after many outcomes; marked weights alone are moved."""
    prior = Prior(np.full(P, 0.1**2), np.arange(P) >= 3)
    belief, _ = learned(stream(4, 30, weights=truth(4)), Belief.start(Posterior.prior(prior.variance), prior))
    second = belief.lasting.mean**2 + np.diag(np.linalg.inv(belief.lasting.precision))
    expected = (second + TAILS * prior.variance) / (1 + TAILS)
    np.testing.assert_array_equal(belief.variance[:3], prior.variance[:3])
    np.testing.assert_allclose(belief.variance[3:], expected[3:], rtol=0.15)


def test_variances_are_learned_seldomer_the_more_is_known() -> None:
    belief, at = Belief.start(Posterior.prior(few().variance), few()), []
    for batch in stream(6, 40, weights=truth(6)):
        belief = belief.updated(*batch)
        if belief.revised == belief.seen:
            at.append(belief.seen)
    assert at[0] == FIRST
    assert at == [300, 400, 600, 800, 1100, 1500, 2000, 2600, 3400]
