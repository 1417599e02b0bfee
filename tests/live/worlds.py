"""A programme in a ledger whose truth is known: who buys, for how much, and what offers do to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from decision.flow.sweep import sweep
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.records import CONTROL, Decision, Group, Outcome
from decision.stages.groups import assign
from decision.wiring import Home
from tests import support
from tests.support import DAY, NOW

OFFER = "discount@on_page"
SHARES = {Group.HOLDOUT: 0.35, Group.RANDOM: 0.0, Group.BUSINESS_AS_USUAL: 0.15, Group.POLICY: 0.5}
MARGIN, BASKET, REFUNDED, DISCOUNT = 0.4, 50.0, 0.1, 0.1


@dataclass(frozen=True)
class World:
    """`customers` come over `days`, until now; `control` and `offer` are the odds of an order, half with the coupon.

    The policy makes the offer with probability `treated`. `told` is the share of the policy's first orders whose events
    come in.
    """

    seed: int
    customers: int = 2_000
    days: int = 100
    control: float = 0.2
    offer: float = 0.5
    treated: float = 0.9
    told: float = 1.0

    @property
    def gain(self) -> float:
        """Return what the policy earns more per customer than the holdout."""
        kept = BASKET * (1 - REFUNDED)
        return self.treated * ((self.offer - self.control) * kept * MARGIN - 0.5 * self.offer * DISCOUNT * kept)

    @property
    def now(self) -> datetime:
        return NOW + timedelta(days=self.days)


def programme_of_worlds(add: str = "", **changes: Any) -> Programme:
    return support.programme(add=add, **({"shares": SHARES} | changes))


def home_of(world: World, root: Path, *, add: str = "") -> tuple[Home, SqliteLedger, Programme]:
    """Return a home whose ledger holds the world."""
    home = Home(root)
    shares = "\n".join(["\n[measurement_groups]", *(f"{group.value} = {share}" for group, share in SHARES.items())])
    text = support.PROGRAMME + shares + "\n" + add
    home.programme_path.write_text(text)
    programme = home.programme()
    ledger = SqliteLedger.create(home.ledger_path, durable=False)
    rng = np.random.default_rng(world.seed)
    told: list[Outcome] = []
    for decision in _decisions(world, programme, rng):
        ledger.record_decision(decision, (), seen_version=0)
        told += _outcomes(world, decision, rng)
    ledger.record_outcomes([one for one in told if one.occurred_at <= world.now], now=world.now)
    sweep(programme=programme, ledger=ledger, now=world.now)
    return home, ledger, programme


def _decisions(world: World, programme: Programme, rng: np.random.Generator) -> Iterator[Decision]:
    for k in range(world.customers):
        customer = f"world-{world.seed}-{k}"
        group = assign(customer, salt=programme.salt, shares=programme.shares)
        chance = {Group.HOLDOUT: 0.0, Group.BUSINESS_AS_USUAL: 1.0}.get(group, world.treated)
        action = OFFER if rng.random() < chance else CONTROL
        blank = support.decided(
            action,
            at=NOW + world.days * k / world.customers * DAY,
            programme=programme,
            decision_id=f"d-{k}",
            customer_id=customer,
            order_id=f"first-{k}",
            group=group,
            store="hamburg" if rng.random() < 0.5 else "online",
        )
        drawn = group is Group.POLICY
        yield structs.replace(
            blank,
            coupon=None if action == CONTROL else f"coupon-{k}",
            allowed=(CONTROL, OFFER) if drawn else (action,),
            distribution=(1 - chance, chance) if drawn else (1.0,),
            propensity=(chance if action == OFFER else 1 - chance) if drawn else 1.0,
        )


def _outcomes(world: World, decision: Decision, rng: np.random.Generator) -> Iterator[Outcome]:
    """Yield events; as many draws for everybody, so that worlds of one seed differ by what is changed alone."""
    luck = rng.random(5)
    customer, at = decision.customer_id, decision.decided_at
    if luck[0] < (world.told if decision.group is Group.POLICY else 1.0):
        yield support.bought(at - timedelta(minutes=1), decision.order_id, 60.0, customer_id=customer)
    if luck[1] < (world.control if decision.action_id == CONTROL else world.offer):
        facts = {"coupon": decision.coupon} if decision.coupon and luck[2] < 0.5 else {}
        order = f"again-{decision.decision_id}"
        basket = BASKET + 20 * float(rng.random() - 0.5)
        yield support.bought(at + 5 * DAY, order, round(basket, 2), customer_id=customer, **facts)
        if luck[3] < REFUNDED:
            yield support.refunded(at + 9 * DAY, order, customer_id=customer)
    if luck[4] < 0.02:
        yield support.outcome("Unsubscribed", at + 2 * DAY, customer_id=customer, channel="email")
