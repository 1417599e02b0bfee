"""The contract of every policy; one that is added to POLICIES is held to all of it."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from msgspec import structs

from decision.policies.bandit import Bandit
from decision.policies.base import Policy, Situation
from decision.policies.greedy_uplift import GreedyUplift
from decision.policies.registry import BANDITS, bandit_named
from decision.policies.rule import Rule
from decision.policies.uniform import Uniform
from decision.programme.model import Programme
from decision.records import CONTROL_ACTION, Action
from decision.serving import Champion


def bandit(name: str) -> Callable[[Champion], Policy]:
    """Return a maker of a bandit with the champion's belief."""

    def made(champion: Champion) -> Policy:
        assert isinstance(champion.policy, Bandit)
        held, of = champion.policy, champion.manifest
        return bandit_named(
            name, held.features, held.posterior, draws=of.draws, exploration=of.exploration, seed=of.seed
        )

    return made


POLICIES: dict[str, Callable[[Champion], Policy]] = {
    "uniform": lambda champion: Uniform(),
    "rule": lambda champion: Rule({"purchase": "discount@email"}),
    "greedy_uplift": lambda champion: GreedyUplift(),
    **{name: bandit(name) for name in BANDITS},
}
CONTEXTS = [
    {},
    {"order_total": 20.0, "tier": "gold", "age": 25.0, "customer_orders": 9.0},
    {"order_total": 500.0, "tier": "silver", "age": 70.0},
    {"order_total": 1e9, "age": -1e300},
]


@pytest.fixture(params=sorted(POLICIES))
def policy(request: pytest.FixtureRequest, champion: Champion) -> Policy:
    return POLICIES[request.param](champion)


def seen(champion: Champion, shop: Programme, actions: Sequence[Action], context: dict[str, object]) -> Situation:
    valued = champion.value(shop, shop.goal, allowed=actions, context=context)
    return Situation("purchase", tuple(actions), valued.outlook)


def some_sets(shop: Programme) -> list[tuple[Action, ...]]:
    """Return allowed sets of every size in several orders, control first as the guardrails leave them."""
    rng = np.random.default_rng(5)
    treatments = [action for action in shop.actions if not action.is_control]
    sizes = [n for n in range(len(treatments) + 1) for _ in range(3)]
    return [(CONTROL_ACTION, *(treatments[i] for i in rng.permutation(len(treatments))[:n])) for n in sizes]


@pytest.mark.parametrize("context", CONTEXTS)
def test_it_gives_a_distribution_over_exactly_the_allowed(
    policy: Policy, champion: Champion, programme: Programme, context: dict[str, object]
) -> None:
    for actions in some_sets(programme):
        p = policy.distribution(seen(champion, programme, actions, context))
        assert p.shape == (len(actions),)
        assert p.min() >= 0.0
        assert p.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_same_situation_gives_the_same_distribution(
    policy: Policy, champion: Champion, programme: Programme, context: dict[str, object]
) -> None:
    situation = seen(champion, programme, programme.actions, context)
    np.testing.assert_array_equal(policy.distribution(situation), policy.distribution(situation))


def test_control_alone_is_certain(policy: Policy, champion: Champion, programme: Programme) -> None:
    assert policy.distribution(seen(champion, programme, (CONTROL_ACTION,), {})).tolist() == [1.0]


@pytest.mark.parametrize("context", CONTEXTS[:3])
def test_the_order_of_the_treatments_does_not_matter(
    policy: Policy, champion: Champion, programme: Programme, context: dict[str, object]
) -> None:
    """For thompson because an action's random numbers belong to its place in the catalogue, not in the request;
    for inverse_gap because its probabilities are summed exactly."""
    for actions in some_sets(programme):
        straight = (CONTROL_ACTION, *sorted(actions[1:], key=programme.actions.index))
        p = policy.distribution(seen(champion, programme, actions, context))
        q = policy.distribution(seen(champion, programme, straight, context))
        np.testing.assert_array_equal(p, [q[straight.index(action)] for action in actions])


@pytest.mark.parametrize("name", ["greedy_uplift", *BANDITS])
def test_a_policy_that_needs_predictions_says_so(name: str, champion: Champion) -> None:
    from decision.errors import EncoreError

    with pytest.raises(EncoreError, match="Expected predictions"):
        POLICIES[name](champion).distribution(Situation("purchase", (CONTROL_ACTION,), None))


def test_the_rule_is_control_where_its_action_was_removed(programme: Programme) -> None:
    rule = Rule({"purchase": "discount@email"})
    allowed = (CONTROL_ACTION, programme.action("shipping@email"), programme.action("discount@email"))
    assert rule.distribution(Situation("purchase", allowed, None)).tolist() == [0.0, 0.0, 1.0]
    assert rule.distribution(Situation("purchase", allowed[:2], None)).tolist() == [1.0, 0.0]
    assert rule.distribution(Situation("return", allowed, None)).tolist() == [1.0, 0.0, 0.0]


def test_greedy_takes_the_highest_value_and_control_on_a_tie(champion: Champion, programme: Programme) -> None:
    from decision.stages.valuation import Worth

    situation = seen(champion, programme, programme.actions[:3], {})
    assert situation.outlook is not None
    for fixed, best in (([0.0, 1.0, 2.0], 2), ([3.0, 1.0, 3.0], 0), ([-1.0, -3.0, -2.0], 0)):
        worth = Worth(np.array(fixed), np.zeros(3))
        p = GreedyUplift().distribution(
            structs.replace(situation, outlook=structs.replace(situation.outlook, worth=worth))
        )
        assert p.tolist() == [float(k == best) for k in range(3)]
