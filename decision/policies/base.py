"""The contract of a policy."""

from __future__ import annotations

from abc import ABC, abstractmethod

from msgspec import Struct

from decision.errors import EncoreError
from decision.records import Action, Components, FloatArray, IntArray
from decision.stages.valuation import Worth


class Outlook(Struct, frozen=True):
    """What the uplift models foresee for K actions.

    `features` is the context vector [D]; `index` [K] gives each action's place in the bundle's catalogue;
    `components` are the predictions, `worth` turns repurchase odds into money.
    """

    features: FloatArray
    index: IntArray
    components: Components
    worth: Worth


class Situation(Struct, frozen=True):
    """What a policy decides on: why now, the K allowed actions with control first, and their outlook if any."""

    trigger: str
    actions: tuple[Action, ...]
    outlook: Outlook | None

    def foreseen(self) -> Outlook:
        """Return the outlook. Raises `EncoreError` where there is none: no policy has been promoted."""
        if self.outlook is None:
            raise EncoreError("Expected predictions for this policy, found none.", hint="Promote a policy first.")
        return self.outlook


class Policy(ABC):
    """Context and values into a distribution."""

    @abstractmethod
    def distribution(self, situation: Situation) -> FloatArray:
        """Return a probability for each allowed action, shape [K], summing to 1, before the exploration floor."""

    def repurchase(self, outlook: Outlook) -> FloatArray:
        """Return the odds of a repurchase that this policy believes in, shape [K]."""
        return outlook.components.repurchase
