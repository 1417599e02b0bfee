"""The truth of a simulated shop: what every action would bring every arrival, known without trying it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import CONTROL, FloatArray, IntArray
from experiments.shop import effects
from experiments.shop.arrival import Arrival


class Kind(StrEnum):
    """What contact does to a customer, on the average over the treatments."""

    PERSUADABLE = "persuadable"
    SURE_THING = "sure_thing"
    LOST_CAUSE = "lost_cause"
    SLEEPING_DOG = "sleeping_dog"


@dataclass(frozen=True, slots=True)
class Truth:
    """Expectations of n arrivals under K actions, in the terms of `decision.records.Reward`; arrays of shape [n, K].

    `visit` = P(visited); `repurchase` = P(repurchased), net of full refunds; `basket` = E[revenue | repurchased] in
    currency units; `redemption` = P(redeemed | repurchased); `cost` = E[cost] and `value` = E[value] under the goal
    of the arrival's store, in currency units. `business_as_usual` [n] holds the column of the shop's own rule.
    """

    actions: tuple[str, ...]
    visit: FloatArray
    repurchase: FloatArray
    basket: FloatArray
    redemption: FloatArray
    cost: FloatArray
    value: FloatArray
    business_as_usual: IntArray

    def value_of(self, action_ids: Sequence[str]) -> FloatArray:
        """Return the value of one action for each arrival, shape [n]."""
        columns = [self.actions.index(action_id) for action_id in action_ids]
        chosen: FloatArray = self.value[np.arange(len(columns)), columns]
        return chosen

    def best_value(self, allowed: Sequence[Sequence[str]]) -> FloatArray:
        """Return the highest value among the actions that were allowed for each arrival, shape [n]."""
        column = {action_id: k for k, action_id in enumerate(self.actions)}
        return np.array([self.value[i, [column[a] for a in some]].max() for i, some in enumerate(allowed)])

    def kinds(self, *, noticeable: float = 0.02, sure: float = 0.30) -> NDArray[np.str_]:
        """Return the `Kind` of each arrival, shape [n].

        Contact that moves the odds of a repurchase by more than `noticeable` makes a persuadable or a sleeping dog;
        of the others, whoever comes back untreated with odds of at least `sure` is a sure thing.
        """
        treated = [k for k, action_id in enumerate(self.actions) if action_id != CONTROL]
        untreated = self.repurchase[:, self.actions.index(CONTROL)]
        uplift = self.repurchase[:, treated].mean(axis=1) - untreated
        return np.select(
            [uplift > noticeable, uplift < -noticeable, untreated >= sure],
            [Kind.PERSUADABLE.value, Kind.SLEEPING_DOG.value, Kind.SURE_THING.value],
            Kind.LOST_CAUSE.value,
        )


def truth_of(arrivals: Sequence[Arrival], *, programme: Programme) -> Truth:
    """Return the expectation of what `reward_of` gives, for every action of the programme.

    Guardrails are not applied: `Truth.best_value` takes what was allowed.
    """
    order = np.stack([a.chances.order[a.place] for a in arrivals])
    mean_basket = np.exp(np.stack([a.chances.log_basket[a.place] for a in arrivals]) + effects.BASKET_SD**2 / 2)
    click = np.stack([a.chances.click[a.place] for a in arrivals])
    browse = np.array([a.chances.browse[a.place] for a in arrivals])[:, None]
    full = np.array([a.chances.refund_full[a.place] for a in arrivals])[:, None]
    partial = np.array([a.chances.refund_partial[a.place] for a in arrivals])[:, None]
    redemption, view = arrivals[0].chances.redemption, arrivals[0].chances.view

    kept = 1.0 - full - partial * (effects.PARTIAL_LOW + effects.PARTIAL_HIGH) / 2
    visit = order + (1.0 - order) * (1.0 - (1.0 - browse) * (1.0 - view * click))
    revenue = order * mean_basket * kept
    repurchase = order * (1.0 - full)
    contact, flat, share = _costs(programme)
    # The flat cost of a redemption remains when the order is paid back; the share goes with the basket.
    cost = contact + redemption * (order * flat + share * revenue)
    goals = [programme.goal_of(arrival.store) for arrival in arrivals]
    profit, on_revenue, traffic, loyalty = (
        np.array(weights)[:, None]
        for weights in zip(*((g.profit, g.revenue, g.traffic, g.loyalty) for g in goals), strict=True)
    )
    worth = (profit * programme.gross_margin + on_revenue) * revenue + traffic * visit + loyalty * repurchase
    actions = tuple(action.action_id for action in programme.actions)
    return Truth(
        actions=actions,
        visit=visit,
        repurchase=repurchase,
        basket=mean_basket * kept / (1.0 - full),
        redemption=np.broadcast_to(redemption, order.shape),
        cost=cost,
        value=worth - cost,
        business_as_usual=np.array([actions.index(programme.business_as_usual[a.trigger]) for a in arrivals]),
    )


def _costs(programme: Programme) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return per action [K] the cost of contact, and the flat cost and share of the basket of a redemption."""
    costs = [None if a.is_control else programme.offers[a.offer].cost for a in programme.actions]
    contact = np.array([programme.contact_cost_micros(action) / MICROS for action in programme.actions])
    flat = np.array([cost.on_redemption_micros / MICROS if cost else 0.0 for cost in costs])
    share = np.array([cost.share_of_basket if cost else 0.0 for cost in costs])
    return contact, flat, share
