"""Served models against plain Python; a bundle whose arrays don't fit is refused when it is loaded, not at the till."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from decision.bundle.manifest import POLICIES
from decision.bundle.models import ForestOdds, LinearOdds, odds_from, uplift_model_from
from decision.bundle.store import Bundle, BundleStore, pack
from decision.errors import InvalidBundle
from decision.policies.epsilon_greedy import EpsilonGreedy
from decision.policies.greedy_uplift import GreedyUplift
from decision.policies.inverse_gap import InverseGap
from decision.policies.linucb import LinUcb
from decision.policies.thompson import Thompson
from decision.serving import champion_from
from tests import support


def test_linear_odds_by_hand() -> None:
    odds = LinearOdds(np.array([[-1.0, 0.5, 2.0], [0.0, 0.0, 0.0], [800.0, 0.0, 0.0]]))
    expected = [1 / (1 + math.exp(-(-1.0 + 0.5 * 3.0 + 2.0 * -0.25))), 0.5, 1.0]
    np.testing.assert_allclose(odds.predict(np.array([3.0, -0.25])), expected, rtol=1e-15)


def walked(parts: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Walk every tree node by node until a node leads to itself."""
    leaves = []
    for root in parts["roots"]:
        node = int(root)
        while parts["left"][node] != node:
            side = "right" if x[parts["feature"][node]] > parts["threshold"][node] else "left"
            node = int(parts[side][node])
        leaves.append(parts["leaf"][node])
    return np.mean(leaves, axis=0)


def test_a_forest_is_the_average_of_its_trees() -> None:
    rng = np.random.default_rng(1)
    parts = support.forest(rng, trees=40, width=5, actions=3)
    forest = ForestOdds(**{**parts, "depth": int(parts["depth"])})  # type: ignore[arg-type]
    for _ in range(200):
        x = rng.normal(size=5)
        np.testing.assert_allclose(forest.predict(x), walked(parts, x), rtol=1e-12)
    on_the_edge = np.full(5, parts["threshold"][parts["roots"][0]])
    np.testing.assert_allclose(forest.predict(on_the_edge), walked(parts, on_the_edge), rtol=1e-12)


def test_a_tree_that_is_a_leaf_is_a_constant() -> None:
    zero = np.zeros(1, int)
    forest = ForestOdds(zero, np.zeros(1), zero, zero, zero, np.array([[0.2, 0.7]]), depth=0)
    np.testing.assert_array_equal(forest.predict(np.array([1.0])), [0.2, 0.7])


def test_components_by_hand() -> None:
    arrays = {
        "repurchase.coefficients": np.array([[0.0, 0.0], [1.0, 1.0]]),
        "basket.coefficients": np.array([[3.0, 0.0], [4.0, 1.0]]),
        "basket.smear": np.array(1.5),
        "basket.range": np.array([40.0, 90.0]),
        "redemption": np.array([0.0, 0.3]),
    }
    found = uplift_model_from({"repurchase": "linear"}, arrays).predict(np.array([0.5]), np.array([1, 0, 1]))
    odds = 1 / (1 + math.exp(-1.5))
    np.testing.assert_allclose(found.repurchase, [odds, 0.5, odds])
    np.testing.assert_array_equal(found.visit, found.repurchase)  # without a model of its own a visit is a purchase
    # exp(4.5) x 1.5 = 135 lies above what was ever seen, exp(3) x 1.5 = 30 below
    np.testing.assert_allclose(found.basket, [90.0, 40.0, 90.0])
    np.testing.assert_array_equal(found.redemption, [0.3, 0.0, 0.3])


def test_unknown_kinds_and_missing_arrays_are_named() -> None:
    with pytest.raises(InvalidBundle, match="boosted, effects, forest, linear, shaped for repurchase, found 'net'"):
        odds_from("net", "repurchase", {})
    with pytest.raises(InvalidBundle, match=r"repurchase\.coefficients"):
        odds_from("linear", "repurchase", {})
    with pytest.raises(InvalidBundle, match=r"repurchase\.(feature|depth)"):
        odds_from("forest", "repurchase", {})


KINDS = {
    "thompson": Thompson,
    "epsilon_greedy": EpsilonGreedy,
    "inverse_gap": InverseGap,
    "linucb": LinUcb,
    "greedy_uplift": GreedyUplift,
}


def test_every_policy_that_a_manifest_may_name_is_known_here() -> None:
    assert set(KINDS) == set(POLICIES)


@pytest.mark.parametrize("heads", [{"repurchase": "linear"}, {"repurchase": "forest", "visit": "linear"}])
@pytest.mark.parametrize(("policy", "kind"), sorted(KINDS.items()))
def test_every_kind_of_bundle_serves(bundles: BundleStore, heads: dict[str, str], policy: str, kind: type) -> None:
    shop = support.programme()
    champion = champion_from(support.write_bundle(bundles, support.manifest(heads=heads, policy=policy)))
    assert isinstance(champion.policy, kind)
    valued = champion.value(shop, shop.goal, allowed=shop.actions, context={"order_total": 10.0, "tier": "gold"})
    assert np.isfinite(valued.value).all()
    assert ((valued.repurchase > 0) & (valued.repurchase < 1)).all()


K, WIDTH, WEIGHTS = 6, 6, 54
MISFITS = {
    "no repurchase": ({"repurchase.coefficients": None}, {}),
    "no basket": ({"basket.coefficients": None}, {}),
    "no smear": ({"basket.smear": None}, {}),
    "no redemption": ({"redemption": None}, {}),
    "no belief": ({"posterior.mean": None}, {}),
    "too few actions": ({"repurchase.coefficients": np.zeros((K - 1, WIDTH + 1))}, {}),
    "too many features": ({"repurchase.coefficients": np.zeros((K, WIDTH + 3))}, {}),
    "a flat head": ({"repurchase.coefficients": np.zeros(K)}, {}),
    "a basket of others": ({"basket.coefficients": np.zeros((K, 2))}, {}),
    "a range of three": ({"basket.range": np.zeros(3)}, {}),
    "a smear of two": ({"basket.smear": np.zeros(2)}, {}),
    "redemption of others": ({"redemption": np.zeros(2)}, {}),
    "not a number": ({"redemption": np.full(K, np.nan)}, {}),
    "a belief of others": ({"posterior.mean": np.zeros(3)}, {}),
    "a precision of others": ({"posterior.precision": np.eye(3)}, {}),
    "a precision that is none": ({"posterior.precision": np.zeros((WEIGHTS, WEIGHTS))}, {}),
    "no control": ({}, {"actions": support.ACTIONS[1:]}),
    "an action twice": ({}, {"actions": (*support.ACTIONS, "shipping@email")}),
    "no head": ({}, {"heads": {}}),
    "no such head": ({}, {"heads": {"repurchase": "net"}}),
    "a scale of zero": ({}, {"columns": (support.Column("order_total", scale=0.0), *support.COLUMNS[1:])}),
    "a forest into the void": (
        {"repurchase.feature": np.full(35, 99)},
        {"heads": {"repurchase": "forest"}},
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_arrays_that_do_not_fit_are_refused_when_loaded(misfit: str) -> None:
    change, fields = MISFITS[misfit]
    heads = {"heads": fields["heads"]} if fields.get("heads") == {"repurchase": "forest"} else {}
    arrays = support.arrays(support.manifest(**heads)) | change
    present = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(InvalidBundle, match="Expected"):
        champion_from(Bundle(support.manifest(**fields), present))


def test_a_belief_that_does_not_fit_is_refused(bundle: Bundle) -> None:
    good = champion_from(bundle)
    assert isinstance(good.policy, Thompson)
    assert good.policy.posterior.mean.shape == (WEIGHTS,)
    for data in (b"", pack({"other": np.zeros(1)}), pack({"posterior.mean": np.zeros(2)})):
        with pytest.raises(InvalidBundle):
            champion_from(bundle, data, 3)


def test_the_version_names_the_belief(bundle: Bundle) -> None:
    from decision.serving import posterior_arrays

    good = champion_from(bundle)
    assert isinstance(good.policy, Thompson)
    belief = pack(posterior_arrays(good.policy.posterior))
    assert good.version == f"{bundle.version}+0"
    assert champion_from(bundle, belief, 17).version == f"{bundle.version}+17"
