"""The law: over many decisions, frequencies match the logged distribution, and the propensity is what was drawn with.

Decision ids are fixed, so each look either always passes or never; 0.001 is the line for the p-values.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from decision.bundle.manifest import POLICIES
from decision.bundle.store import BundleStore
from decision.flow.decide import Proposal, decide, propose
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.records import CONTROL, Customer, Decision, Group, Reservation
from decision.serving import Champion, Serving, champion_from
from decision.stages.guardrails import Used
from tests import support
from tests.support import NOW, asked, budget, only

FLOOR = 0.01
N = 3_000


def champion(bundles: BundleStore, policy: str) -> Champion:
    return champion_from(support.write_bundle(bundles, support.manifest(policy=policy), spread=0.02))


def proposals(serving: Serving, ledger: SqliteLedger, n: int = N, **changes: object) -> list[Decision]:
    """Return what would be decided for n fresh ids in the same situation; nothing is written, so it stays the same."""
    requests = (asked(f"law-{i}", **changes) for i in range(n))
    return [propose(r, Customer("c-1"), serving=serving, ledger=ledger, now=NOW).decision for r in requests]


def check(decisions: list[Decision]) -> None:
    """Hold decisions of one situation to the law."""
    allowed, distribution = decisions[0].allowed, np.array(decisions[0].distribution)
    for decision in decisions:
        assert (decision.allowed, decision.distribution) == (allowed, tuple(distribution))
        assert decision.propensity == distribution[allowed.index(decision.action_id)] > 0.0
    assert distribution.sum() == pytest.approx(1.0, abs=1e-12)
    found = Counter(decision.action_id for decision in decisions)
    seen = np.array([found[action_id] for action_id in allowed])
    possible = distribution > 0.0
    assert seen[~possible].sum() == 0
    if possible.sum() > 1:
        assert chisquare(seen[possible], distribution[possible] * len(decisions)).pvalue > 0.001


@pytest.mark.parametrize("policy", POLICIES)
def test_a_champion_draws_from_what_it_logs(bundles: BundleStore, ledger: SqliteLedger, policy: str) -> None:
    serving = Serving(only(Group.POLICY), champion(bundles, policy))
    decisions = proposals(serving, ledger)
    check(decisions)
    assert min(decisions[0].distribution) >= FLOOR
    assert len(decisions[0].allowed) == 6


@pytest.mark.parametrize("policy", POLICIES)
def test_the_floor_is_added_exactly(bundles: BundleStore, ledger: SqliteLedger, policy: str) -> None:
    bare = Serving(replace(only(Group.POLICY), exploration_floor=0.0), champion(bundles, policy))
    (without,) = proposals(bare, ledger, 1)
    (floored,) = proposals(Serving(only(Group.POLICY), bare.champion), ledger, 1)
    p = np.array(without.distribution)
    np.testing.assert_array_equal(np.array(floored.distribution), (1 - 6 * FLOOR) * p + FLOOR)


def test_the_random_group_is_uniform(bundles: BundleStore, ledger: SqliteLedger) -> None:
    for serving in (Serving(only(Group.RANDOM), None), Serving(only(Group.RANDOM), champion(bundles, "thompson"))):
        decisions = proposals(serving, ledger)
        check(decisions)
        assert decisions[0].distribution == (1 / 6,) * 6


def test_the_random_group_is_uniform_over_what_the_guardrails_leave(ledger: SqliteLedger) -> None:
    decisions = proposals(Serving(only(Group.RANDOM), None), ledger, consent={"email": True})
    check(decisions)
    assert decisions[0].allowed == (CONTROL, "thanks@email", "discount@on_page", "discount@email", "shipping@email")
    assert set(decisions[0].distribution) == {0.2}


@pytest.mark.parametrize("trigger", ["purchase", "return"])
def test_business_as_usual_is_certain(bundles: BundleStore, ledger: SqliteLedger, trigger: str) -> None:
    serving = Serving(only(Group.BUSINESS_AS_USUAL), champion(bundles, "thompson"))
    decisions = proposals(serving, ledger, 50, trigger=trigger)
    check(decisions)
    assert {(d.action_id, d.propensity) for d in decisions} == {
        ({"purchase": "discount@on_page", "return": "shipping@email"}[trigger], 1.0)
    }


def test_without_a_champion_the_policy_group_gets_business_as_usual(ledger: SqliteLedger) -> None:
    decisions = proposals(Serving(only(Group.POLICY), None), ledger, 50)
    check(decisions)
    assert {(d.action_id, d.group, d.policy_version) for d in decisions} == {
        ("discount@on_page", Group.POLICY, "business_as_usual")
    }


def test_the_holdout_is_never_treated(bundles: BundleStore, ledger: SqliteLedger) -> None:
    for serving in (Serving(only(Group.HOLDOUT), None), Serving(only(Group.HOLDOUT), champion(bundles, "thompson"))):
        decisions = proposals(serving, ledger, 200)
        check(decisions)
        found = {(d.action_id, d.propensity, d.allowed, d.coupon, d.expires_at) for d in decisions}
        assert found == {(CONTROL, 1.0, (CONTROL,), None, None)}


def test_the_law_holds_over_many_customers_at_once(bundles: BundleStore, ledger: SqliteLedger) -> None:
    """Calibration: where situations differ, indicator minus probability still averages to nothing."""
    serving = Serving(only(Group.POLICY), champion(bundles, "thompson"))
    rng = np.random.default_rng(4)
    gap, variance = Counter[str](), Counter[str]()
    for i in range(N):
        features = {"age": float(rng.normal(40, 15)), "tier": str(rng.choice(["gold", "silver", "bronze"]))}
        request = asked(f"law-{i}", f"c-{i}", features=features, order=support.order(total=float(rng.integers(5, 300))))
        decision = propose(request, Customer(f"c-{i}"), serving=serving, ledger=ledger, now=NOW).decision
        for action_id, p in zip(decision.allowed, decision.distribution, strict=True):
            gap[action_id] += float(action_id == decision.action_id) - p
            variance[action_id] += p * (1 - p)
    # Six looks at a standard normal.
    assert max(abs(gap[a]) / np.sqrt(variance[a]) for a in gap) < 3.5


def test_after_a_budget_was_lost_to_another_the_rest_is_drawn_afresh(
    bundles: BundleStore, ledger: SqliteLedger
) -> None:
    """Drawing the same number again would give its actions the wrong odds: each would follow from what was lost."""
    shop = only(Group.POLICY, budgets=(budget(offer="discount", count=1),))
    serving = Serving(shop, champion(bundles, "thompson"))

    def again(i: int, lost: frozenset[str]) -> Proposal:
        request = asked(f"law-{i}")
        return propose(request, Customer("c-1"), serving=serving, ledger=ledger, now=NOW, exhausted=lost)

    first = [again(i, frozenset()).decision for i in range(N)]
    lost = [i for i, d in enumerate(first) if d.action_id.startswith("discount")]
    assert len(lost) > 300
    check([again(i, frozenset({"b|programme"})).decision for i in lost])


class Late:
    """A ledger that tells of budgets as they were before anybody used them."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self.ledger = ledger

    def __getattr__(self, name: str) -> object:
        return getattr(self.ledger, name)

    def used(self, keys: Iterable[str]) -> dict[str, Used]:
        return {}


def test_a_budget_that_is_lost_while_deciding_is_lost_whatever_was_drawn(ledger: SqliteLedger) -> None:
    """Were the others still allowed where they were not drawn, each propensity would hold only half of the time."""
    serving = Serving(only(Group.RANDOM, budgets=(budget(offer="discount", count=1),)), None)
    taken = (Reservation("b|programme", 1, None, 1),)
    ledger.record_decision(support.decided(customer_id="c-0"), taken, seen_version=0)
    late = Late(ledger)
    found = [
        decide(asked(f"law-{n}", f"c-{n}"), serving=serving, ledger=late, now=NOW)  # type: ignore[arg-type]
        for n in range(1, 300)
    ]
    assert {d.allowed for d in found} == {(CONTROL, "thanks@email", "shipping@email")}
    check(found)


def test_a_replay_draws_the_same(bundles: BundleStore, ledger: SqliteLedger) -> None:
    serving = Serving(only(Group.POLICY), champion(bundles, "thompson"))
    assert proposals(serving, ledger, 20) == proposals(serving, ledger, 20)
    written = decide(asked("law-3"), serving=serving, ledger=ledger, now=NOW)
    assert written == proposals(serving, ledger, 4)[3]
    assert decide(asked("law-3"), serving=serving, ledger=ledger, now=NOW + support.DAY) == written
    assert ledger.decision("law-3") == written


def test_a_logged_distribution_can_be_computed_again_from_the_log(bundles: BundleStore, ledger: SqliteLedger) -> None:
    """What was written down suffices: context and allowed actions give the same probabilities."""
    from decision.policies.base import Situation
    from decision.stages.choice import with_floor

    shop: Programme = only(Group.POLICY)
    acting = champion(bundles, "thompson")
    request = asked(features={"age": 33.0, "tier": "gold"}, store="hamburg", consent={"email": True})
    decide(request, serving=Serving(shop, acting), ledger=ledger, now=NOW)
    logged = ledger.decision("d-1")
    assert logged is not None
    allowed = [shop.action(a) for a in logged.allowed]
    valued = acting.value(shop, shop.goal_of(logged.store), allowed=allowed, context=logged.context)
    situation = Situation(logged.trigger, tuple(allowed), valued.outlook)
    again = with_floor(acting.policy.distribution(situation), FLOOR)
    np.testing.assert_array_equal(again, logged.distribution)
