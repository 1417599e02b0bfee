"""The rule the shop has today: one action per trigger, control where a guardrail removed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from decision.policies.base import Policy, Situation
from decision.records import CONTROL, FloatArray


@dataclass(frozen=True, slots=True)
class Rule(Policy):
    """Business as usual. `actions` maps a trigger to an action id."""

    actions: Mapping[str, str]

    def distribution(self, situation: Situation) -> FloatArray:
        """Return all probability on the rule's action for the trigger, or on control."""
        wanted = self.actions.get(situation.trigger, CONTROL)
        ids = [action.action_id for action in situation.actions]
        distribution = np.zeros(len(ids))
        distribution[ids.index(wanted) if wanted in ids else ids.index(CONTROL)] = 1.0
        return distribution
