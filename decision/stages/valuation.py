"""Valuation: components (repurchase, basket, redemption, visits) into money under the store's goal.

Terms and costs are applied here, outside the models: a changed cost needs no new training.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from decision.programme.model import Goal, Programme
from decision.records import Action, Components, FloatArray, Menu


class Worth(Struct, frozen=True):
    """The value of K actions as a line in the odds of a repurchase: `fixed + per_repurchase * P(repurchase)`.

    Both arrays have shape [K], in currency units. `fixed` is what visits are worth minus the cost of contact.
    """

    fixed: FloatArray
    per_repurchase: FloatArray

    def less(self, charge: Worth) -> Worth:
        """Return the value after a charge."""
        return Worth(self.fixed - charge.fixed, self.per_repurchase - charge.per_repurchase)

    def value(self, repurchase: FloatArray) -> FloatArray:
        """Return the value of each action, shape [..., K], for repurchase odds of shape [..., K]."""
        values: FloatArray = self.fixed + self.per_repurchase * repurchase
        return values


def worth(programme: Programme, goal: Goal, actions: Sequence[Action], components: Components) -> Worth:
    """Return what visits and repurchases under each action are worth, net of its cost, for arrays of shape [K]."""
    return before_cost(programme, goal, components).less(expected_cost(programme, Menu.of(actions).ids, components))


def before_cost(programme: Programme, goal: Goal, components: Components) -> Worth:
    """Return what visits and repurchases under each action are worth, whatever it costs, for arrays of shape [K]."""
    gain = (goal.profit * programme.gross_margin + goal.revenue) * components.basket + goal.loyalty
    return Worth(goal.traffic * components.visit, gain)


def expected_cost(programme: Programme, ids: tuple[str, ...], components: Components) -> Worth:
    """Return what each of the actions `ids` is expected to cost, as a line in the odds of a repurchase.

    An offer that costs on redemption is charged P(redeemed | repurchase) x cost, one that costs on contact always.
    """
    contact, flat, share = programme.costs(ids)
    return Worth(contact, components.redemption * (flat + share * components.basket))
