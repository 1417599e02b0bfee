"""A fashion shop after an order or a return: six actions, their effects known exactly. numpy only.

`make(n, seed)` draws customers, who was given what, uniformly, and what came of it; `truth(x)` holds the laws. Offers
move some customers a lot and others not at all, most effects begin at a threshold or need two things at once, and
contact puts off those who were here a week ago or stopped reading years ago. The best action for everybody earns a
little more than nothing for anybody; most of the profit lies in telling customers apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

ARMS = ("none", "percent_off", "gift", "double_points", "free_returns", "early_access")
COLUMNS = (
    "log_tenure_days",
    "orders_year",
    "days_since_last",
    "log_average_order",
    "share_on_sale",
    "share_returned",
    "sessions_month",
    "mails_opened",
    "tier",
    "age",
    "uses_app",
    "far_from_store",
    "after_return",
    "december",
)
MARGIN = 0.42
DISC = np.array([0.0, 0.14, 0.0, 0.05, 0.0, 0.0])
FLAT = np.array([0.0, 0.0, 3.4, 0.0, 2.4, 0.0])
BASK = np.array([1.0, 1.08, 1.05, 1.0, 1.04, 1.04])
CONTACT = np.array([0.0, 0.06, 0.06, 0.06, 0.06, 0.15])
BASKET_SHAPE = 2.8


class Truth(NamedTuple):
    """Odds of an order, the usual basket [n], what an order brings, and expected profit; else [n, K]."""

    p: FloatArray
    basket: FloatArray
    unit: FloatArray
    mu: FloatArray


def customers(n: int, rng: np.random.Generator) -> FloatArray:
    """Return n customers, in the order of `COLUMNS`: a few traits that nobody sees are behind what the shop sees."""
    thrift, habit = rng.standard_normal((2, n))
    age = np.clip(38 + 12 * rng.standard_normal(n) - 3 * thrift, 18, 85)
    tenure = np.clip(rng.normal(6.2, 0.9, n) + 0.3 * habit, 2.0, 8.4)
    orders = 1.0 + rng.poisson(np.exp(0.5 + 0.55 * habit) * np.clip(tenure / 6.2, 0.5, 1.3))
    recency = np.minimum(rng.gamma(1.3, 60.0 / np.sqrt(orders)), 365.0)
    average = rng.normal(4.05, 0.38, n) - 0.12 * thrift + 0.004 * (age - 38)
    on_sale = rng.beta(2.0 * np.exp(0.8 * thrift), 2.2 * np.exp(-0.4 * thrift))
    returned = rng.beta(1.4, 4.0, n) * (1.0 - 0.2 * (orders < 3))
    opened = rng.beta(1.1 * np.exp(0.5 * habit), 3.0)
    sessions = rng.poisson(np.exp(0.9 + 0.5 * habit + 0.2 * thrift)).astype(float)
    spent = orders * np.exp(average)
    tier = np.digitize(spent, [150.0, 350.0, 800.0]).astype(float)
    app = rng.random(n) < 1.0 / (1.0 + np.exp(0.06 * (age - 36)))
    far = rng.random(n) < 0.45
    after_return = rng.random(n) < 0.12 + 0.5 * returned
    december = rng.random(n) < 0.15
    seen = (tenure, orders, recency, average, on_sale, returned, sessions, opened, tier, age)
    return np.column_stack([*seen, app, far, after_return, december]).astype(float)


def truth(x: FloatArray) -> Truth:
    """Return the laws for customers [n, 14]."""
    c = dict(zip(COLUMNS, x.T, strict=True))
    basket = np.exp(c["log_average_order"] + 0.05 * c["tier"] + 0.15 * c["december"])
    p = _sigmoid(_before(c)[:, None] + _effects(c))
    unit = basket[:, None] * BASK * (MARGIN - DISC) - FLAT
    return Truth(p, basket, unit, p * unit - CONTACT)


def make(n: int, seed: int) -> dict[str, Any]:
    """Return n logged rows: customers `X`, action `t`, `conv`, `order`, `profit`, and the truth `mu`, `p` [n, K]."""
    rng = np.random.default_rng(seed)
    x = customers(n, rng)
    law = truth(x)
    t = rng.integers(len(ARMS), size=n)
    rows = np.arange(n)
    conv = (rng.random(n) < law.p[rows, t]).astype(int)
    order = conv * law.basket * BASK[t] * rng.gamma(BASKET_SHAPE, 1.0 / BASKET_SHAPE, n)
    profit = order * (MARGIN - DISC[t]) - conv * FLAT[t] - CONTACT[t]
    return {"X": x, "t": t, "conv": conv, "order": order, "profit": profit, "mu": law.mu, "p": law.p}


def _before(c: dict[str, FloatArray]) -> FloatArray:
    """Return log-odds of an order when left alone, [n]."""
    fresh = np.exp(-c["days_since_last"] / 45.0)
    often = np.log(c["orders_year"])
    browsing = np.minimum(c["sessions_month"], 8.0) / 8.0
    upset = c["after_return"] * (0.30 + 0.45 * (c["share_returned"] < 0.15))
    odds: FloatArray = -2.75 + 0.45 * often + 0.55 * fresh + 0.75 * browsing + 0.35 * c["december"] - upset
    return odds


def _effects(c: dict[str, FloatArray]) -> FloatArray:
    """Return what every action adds to the log-odds, [n, K]."""
    just_here = c["days_since_last"] < 7.0
    not_reading = (c["mails_opened"] < 0.06) & (c["log_tenure_days"] > 6.3)
    contact = 0.06 - 0.40 * just_here - 0.55 * not_reading
    hunter = (c["share_on_sale"] > 0.55).astype(float)
    lapsing = _sigmoid((c["days_since_last"] - 90.0) / 15.0)
    regular = (c["orders_year"] >= 4.0).astype(float)
    effects = np.zeros((len(contact), len(ARMS)))
    # Whoever waits for sales anyway comes for one; a regular who pays full price only gets it cheaper.
    effects[:, 1] = contact + 0.75 * hunter + 0.45 * hunter * lapsing + 0.25 * lapsing - 0.15 * regular * (1 - hunter)
    # A gift pleases the better customers, most of all those who look around and don't buy.
    browsing = (c["sessions_month"] >= 4.0).astype(float)
    effects[:, 2] = contact + 0.12 + 0.65 * (c["tier"] >= 2.0) * browsing - 0.25 * hunter
    # Points are worth something to those near the next tier, and nothing to newcomers.
    effects[:, 3] = contact + 0.50 * (c["tier"] == 1.0) * (c["orders_year"] >= 3.0) + 0.20 * c["uses_app"] * regular
    # Free returns calm those who send a lot back; far from a store more so.
    sends_back = _sigmoid((c["share_returned"] - 0.35) / 0.04)
    effects[:, 4] = contact + (0.65 + 0.35 * c["far_from_store"]) * sends_back + 0.30 * c["after_return"]
    # To see things first is for the young with the app, and out of place before Christmas.
    young = _sigmoid((34.0 - c["age"]) / 3.0)
    effects[:, 5] = contact + 0.80 * young * c["uses_app"] * (1.0 - 0.7 * c["december"]) - 0.12
    return effects


def _sigmoid(z: FloatArray) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(0.5 * z))
