"""Thompson's distribution against brute force, and its robustness."""

import numpy as np
import pytest

from decision.bundle.store import BundleStore
from decision.policies.base import Situation
from decision.policies.posterior import Posterior, logit, sigmoid
from decision.policies.thompson import Thompson
from decision.programme.model import Programme
from decision.records import CONTROL_ACTION, Action
from decision.serving import Champion, action_features, champion_from
from tests import support

CONTEXT = {"order_total": 80.0, "tier": "gold", "age": 33.0, "customer_orders": 4.0}


def taught(champion: Champion, *, n: int = 400) -> Posterior:
    """Return a belief with correlated weights, as after some outcomes."""
    features = action_features(champion.manifest, champion.encoder)
    rng = np.random.default_rng(11)
    index = rng.integers(len(champion.manifest.actions), size=n)
    design = features.design(index, rng.standard_normal((n, features.width)))
    prior = Posterior.prior(features.prior_variance(support.PriorScales()))
    return prior.updated(design, np.full(n, -1.5), (rng.random(n) < 0.2).astype(float))


def test_the_distribution_is_that_of_sampling_the_weights(champion: Champion, programme: Programme) -> None:
    belief, features = taught(champion), action_features(champion.manifest, champion.encoder)
    draws = 20_000
    policy = Thompson(features, belief, draws=draws, exploration=1.0, seed=1)
    outlook = champion.value(programme, programme.goal, allowed=programme.actions, context=CONTEXT).outlook
    found = policy.distribution(Situation("purchase", programme.actions, outlook))

    rng, brute = np.random.default_rng(2), 200_000
    weights = rng.multivariate_normal(belief.mean, np.linalg.inv(belief.precision), size=brute)
    log_odds = logit(outlook.components.repurchase) + weights @ features.design(outlook.index, outlook.features).T
    wins = np.bincount(outlook.worth.value(sigmoid(log_odds)).argmax(axis=1), minlength=len(found)) / brute
    # Four standard errors of the difference of two shares.
    assert (np.abs(found - wins) <= 4 * np.sqrt(wins * (1 - wins) * (1 / draws + 1 / brute)) + 1e-4).all()
    assert (wins > 0.02).sum() >= 3, "a case in which one action always wins would prove nothing"


def test_more_certainty_is_less_exploration(champion: Champion, programme: Programme) -> None:
    belief = taught(champion)
    features = action_features(champion.manifest, champion.encoder)
    outlook = champion.value(programme, programme.goal, allowed=programme.actions, context=CONTEXT).outlook
    chances = [
        Thompson(
            features, Posterior(belief.mean, belief.precision * sharper, belief.n), draws=4_000, exploration=1.0, seed=1
        )
        .distribution(Situation("purchase", programme.actions, outlook))
        .max()
        for sharper in (1.0, 30.0, 1e6)
    ]
    assert chances == sorted(chances)
    assert chances[-1] == 1.0


def test_the_belief_moves_the_odds_away_from_the_uplift_model(champion: Champion, programme: Programme) -> None:
    features = action_features(champion.manifest, champion.encoder)
    policy = Thompson(features, taught(champion), draws=10, exploration=1.0, seed=1)
    outlook = champion.value(programme, programme.goal, allowed=programme.actions, context=CONTEXT).outlook
    np.testing.assert_allclose(champion.policy.repurchase(outlook), outlook.components.repurchase, rtol=1e-12)
    expected = sigmoid(
        logit(outlook.components.repurchase) + features.design(outlook.index, outlook.features) @ policy.posterior.mean
    )
    np.testing.assert_allclose(policy.repurchase(outlook), expected, rtol=1e-12)


@pytest.mark.parametrize("variance", [4.0, 4e12])
def test_twins_in_all_that_the_bandit_sees_share_the_probability(
    bundles: BundleStore, programme: Programme, variance: float
) -> None:
    """Actions the bandit can't tell apart, as it is sure of everything but the level: the covariance is singular."""
    champion = champion_from(support.write_bundle(bundles))
    features = action_features(champion.manifest, champion.encoder)
    variances = np.full(features.size, 1e-30)
    variances[0] = variance
    policy = Thompson(features, Posterior.prior(variances), draws=500, exploration=1.0, seed=1)
    outlook = champion.value(programme, programme.goal, allowed=programme.actions, context=CONTEXT).outlook
    assert policy.distribution(Situation("purchase", programme.actions, outlook)).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [1e3, 1e5, 1e9, 1e300])
def test_an_absurd_fact_still_gives_a_distribution(champion: Champion, programme: Programme, scale: float) -> None:
    for context in ({"order_total": scale}, {"age": -scale}, {"order_total": scale, "age": scale}):
        valued = champion.value(programme, programme.goal, allowed=programme.actions, context=context)
        p = champion.policy.distribution(Situation("purchase", programme.actions, valued.outlook))
        assert p.sum() == pytest.approx(1.0)
        assert np.isfinite(valued.value).all()


def test_action_features_by_hand() -> None:
    from decision.policies.action_features import ActionFeatures

    actions = [support.action_named(a) for a in ("control", "bogo@email", "bogo@sms", "gift@sms")]
    features = ActionFeatures(actions, width=2)
    x = np.array([3.0, 5.0])
    # base 1, x | offer bogo, gift | channel email, sms | pairs | bogo x, gift x | email x, sms x
    expected = [
        [1, 3, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 3, 5, 1, 0, 1, 0, 1, 0, 0, 3, 5, 0, 0, 3, 5, 0, 0],
        [1, 3, 5, 1, 0, 0, 1, 0, 1, 0, 3, 5, 0, 0, 0, 0, 3, 5],
        [1, 3, 5, 0, 1, 0, 1, 0, 0, 1, 0, 0, 3, 5, 0, 0, 3, 5],
    ]
    design = features.design(np.arange(4), x)
    np.testing.assert_array_equal(design, expected)
    assert features.size == design.shape[1]
    np.testing.assert_array_equal(features.design(np.array([3, 1]), np.array([x, x])), design[[3, 1]])
    scales = support.PriorScales()
    variance = features.prior_variance(scales)
    block = [scales.base] + 2 * [scales.base_x] + 2 * [scales.offer] + 2 * [scales.channel] + 3 * [scales.offer_channel]
    np.testing.assert_array_equal(variance, np.square(block + 4 * [scales.offer_x] + 4 * [scales.channel_x]))


def test_an_offer_called_none_is_not_control() -> None:
    from decision.policies.action_features import ActionFeatures

    features = ActionFeatures([CONTROL_ACTION, Action("none", "email")], width=0)
    design = features.design(np.arange(2), np.zeros(0))
    np.testing.assert_array_equal(design, [[1, 0, 0, 0], [1, 1, 1, 1]])
