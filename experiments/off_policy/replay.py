"""Asks a policy what it would have done in a logged decision."""

from __future__ import annotations

import numpy as np

from decision.policies.base import Situation
from decision.policies.rule import Rule
from decision.programme.model import Programme
from decision.records import Decision, FloatArray, action_named
from decision.serving import Champion
from decision.stages.choice import with_floor
from experiments.off_policy.sources import Replay


def replay_of(champion: Champion | None, programme: Programme) -> Replay:
    """Return the replay of a bundle under the programme's goals and floor; without one, of business as usual."""
    if champion is None:
        return _business_as_usual(programme)

    def replay(decision: Decision, allowed: tuple[str, ...]) -> tuple[FloatArray, FloatArray | None]:
        store = decision.store if decision.store in programme.stores else None
        actions = tuple(action_named(action_id) for action_id in allowed)
        valued = champion.value(programme, programme.goal_of(store), allowed=actions, context=decision.context)
        known = tuple(action for action, is_known in zip(actions, valued.known, strict=True) if is_known)
        # It acts under the prices of budgets that were in force; what it is worth is true money.
        valued = valued.charged_as(decision, known)
        situation = Situation(decision.trigger, known, valued.outlook)
        chosen = with_floor(champion.policy.distribution(situation), programme.exploration_floor)
        return _spread(valued.known, chosen), _spread(valued.known, valued.value)

    return replay


def _spread(known: tuple[bool, ...], numbers: FloatArray) -> FloatArray:
    """Numbers of the known actions among all, 0 for the others."""
    found = iter(numbers.tolist())
    return np.array([next(found) if is_known else 0.0 for is_known in known])


def _business_as_usual(programme: Programme) -> Replay:
    rule = Rule(programme.business_as_usual)

    def replay(decision: Decision, allowed: tuple[str, ...]) -> tuple[FloatArray, FloatArray | None]:
        actions = tuple(action_named(action_id) for action_id in allowed)
        return rule.distribution(Situation(decision.trigger, actions, None)), None

    return replay
