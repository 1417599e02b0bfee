"""Past randomised trials whose truth is known: decisions with rewards, as an import would write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from decision.ledger.base import Rewarded
from decision.money import MICROS
from decision.programme.model import Programme
from decision.programme.read import parse_programme
from decision.records import TRIAL_PREFIX, Decision, Group, Reward, RewardStatus
from decision.stages.rewards import value_micros
from decision.wiring import Home
from experiments.dataset import Dataset, read_dataset

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
STARTED = datetime(2026, 3, 1, tzinfo=UTC)
PROGRAMME = """\
[programme]
name = "Trial shop"
currency = "EUR"
timezone = "UTC"
salt = "trials"
attribution_window_days = 10
gross_margin = 0.50
exploration_floor = 0.01

[channels.email]
contact_cost = "0.05"

[channels.on_page]

[offers.discount]
kind = "percent_discount"
percent = 10
channels = ["email"]
cost.share_of_basket = 0.10

[offers.bogo]
kind = "bogo"
buy = 1
get = 1
channels = ["on_page"]
cost.on_redemption = "3.00"

[regions.north]

[stores.online]

[stores.munich]
region = "north"
goal.traffic = 0.5
goal.loyalty = 4.0

[features.age]
type = "number"

[features.tier]
type = "category"
"""
ACTIONS = ("control", "discount@email", "bogo@on_page")
REDEMPTION = (0.0, 0.8, 0.5)
BOGO_BASKET = 0.30


def programme(**changes: Any) -> Programme:
    """Return the programme of the trial shop."""
    return replace(parse_programme(PROGRAMME), **changes)


@dataclass(frozen=True)
class Past:
    """A trial: `rows` as the ledger keeps them; `truth` [n, 3] are the odds of a repurchase under each action."""

    rows: tuple[Rewarded, ...]
    truth: NDArray[np.float64]


def past(
    n: int, *, seed: int = 1, effect: float = 1.5, harm: float = 0.0, actions: Sequence[str] = ACTIONS, **changes: Any
) -> Past:
    """Return `n` decisions of a trial that gave each of three actions with equal probability.

    The discount adds `effect` to the log-odds of a repurchase per standard deviation of age, buy-one-get-one takes it
    away, so that who gets which is worth more than any rule; both take `harm` away from everybody. Every third
    customer comes twice. `changes` are fields of the decisions.
    """
    shop = programme()
    rng = np.random.default_rng(seed)
    age, gold, munich = rng.standard_normal(n), rng.random(n) < 0.3, rng.random(n) < 0.4
    place = rng.integers(3, size=n)
    lift = np.column_stack([np.zeros(n), effect * age - harm, -effect * age - harm])
    truth = 1.0 / (1.0 + np.exp(1.8 - 0.4 * gold[:, None] - lift))
    bought = rng.random(n) < truth[np.arange(n), place]
    log_basket = 3.9 + 0.2 * gold + BOGO_BASKET * (place == 2) + 0.4 * rng.standard_normal(n)
    revenue = np.where(bought, np.round(np.exp(log_basket), 2), 0.0)
    redeemed = bought & (rng.random(n) < np.array(REDEMPTION)[place])
    visited = bought | (rng.random(n) < np.array([0.15, 0.30, 0.15])[place])
    rows = []
    for i in range(n):
        context = {
            "store": "munich" if munich[i] else "online",
            "order_total": None,
            "age": None if rng.random() < 0.05 else round(40.0 + 12.0 * float(age[i]), 3),
            "tier": "gold" if gold[i] else "none",
        }
        customer = f"c-{i // 4 * 3 + i % 4 % 3:05d}"
        decision = decided(f"d-{i:05d}", customer, actions[place[i]], context, actions=actions, shop=shop)
        decision = structs.replace(decision, decided_at=STARTED + timedelta(minutes=10 * i), **changes)
        fate = Fate(bool(visited[i]), bool(bought[i]), bool(redeemed[i]), round(float(revenue[i]) * MICROS))
        rows.append(Rewarded(decision, reward(decision, fate, shop)))
    return Past(tuple(rows), truth)


def decided(
    decision_id: str,
    customer_id: str,
    action_id: str,
    context: dict[str, Any],
    *,
    actions: Sequence[str] = ACTIONS,
    shop: Programme | None = None,
) -> Decision:
    """Return a decision of the trial."""
    shop = shop or programme()
    known = action_id in {a.action_id for a in shop.actions}
    return Decision(
        decision_id=decision_id,
        customer_id=customer_id,
        trigger="purchase",
        store=context.get("store"),
        order_id="",
        decided_at=STARTED,
        group=Group.RANDOM,
        action_id=action_id,
        propensity=1 / len(actions),
        policy_version=f"{TRIAL_PREFIX}spring",
        allowed=tuple(actions),
        distribution=tuple(1 / len(actions) for _ in actions),
        context=context,
        predictions={},
        rejected=(),
        reasons=(),
        expires_at=None,
        matures_at=NOW,
        contact_cost_micros=shop.contact_cost_micros(shop.action(action_id)) if known else 0,
        fingerprint="",
    )


@dataclass(frozen=True)
class Fate:
    visited: bool
    repurchased: bool
    redeemed: bool
    revenue_micros: int


def reward(decision: Decision, fate: Fate, shop: Programme) -> Reward:
    """Return the final reward of a fate, priced as the importing does it."""
    cost = decision.contact_cost_micros
    if fate.redeemed:
        cost += shop.redemption_cost_micros(shop.action(decision.action_id), fate.revenue_micros)
    margin = round(fate.revenue_micros * shop.gross_margin)
    return Reward(
        decision_id=decision.decision_id,
        status=RewardStatus.FINAL,
        visited=fate.visited,
        repurchased=fate.repurchased,
        redeemed=fate.redeemed,
        revenue_micros=fate.revenue_micros,
        margin_micros=margin,
        cost_micros=cost,
        value_micros=value_micros(
            shop.goal_of(decision.store),
            revenue=fate.revenue_micros,
            margin=margin,
            visited=fate.visited,
            repurchased=fate.repurchased,
            cost=cost,
        ),
        computed_at=NOW,
    )


def home(folder: Path, rows: Sequence[Rewarded]) -> Home:
    """Return a shop's folder whose ledger holds these rows and nothing else."""
    found = Home(folder)
    found.root.mkdir(parents=True)
    found.programme_path.write_text(PROGRAMME)
    ledger = found.ledger()
    ledger.import_decisions(rows)
    ledger.close()
    return found


def dataset(folder: Path, rows: Sequence[Rewarded]) -> Dataset:
    """Return rows as training reads them, by way of a ledger."""
    return read_dataset(home(folder, rows).ledger(), programme())
