"""The simulated customers: correlated attributes, some heavy tailed, some that the shop does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.programme.model import Programme
from decision.records import ContextValue, FloatArray, IntArray

NUMBERS = ("age", "tenure", "price_sensitivity", "engagement", "spend")
LEVELS: Mapping[str, tuple[str, ...]] = {
    "loyalty_tier": ("none", "silver", "gold", "platinum"),
    "device": ("mobile", "desktop", "tablet", "app"),
    "favourite_category": ("fashion", "beauty", "electronics", "home", "grocery"),
    "area": ("urban", "suburban", "rural"),
}
AFTER_RETURN = "after_return"
# The columns of the true model, standardised numbers first; `after_return` belongs to the trigger.
COLUMNS = (*NUMBERS, *(f"{name}={level}" for name, levels in LEVELS.items() for level in levels), AFTER_RETURN)

_CORRELATION = np.array(
    [
        [1.0, 0.4, -0.2, -0.3, 0.2],
        [0.4, 1.0, -0.1, 0.1, 0.3],
        [-0.2, -0.1, 1.0, 0.1, -0.3],
        [-0.3, 0.1, 0.1, 1.0, 0.2],
        [0.2, 0.3, -0.3, 0.2, 1.0],
    ]
)
_SHARES: Mapping[str, tuple[float, ...]] = {
    "device": (0.45, 0.28, 0.07, 0.20),
    "favourite_category": (0.32, 0.18, 0.14, 0.16, 0.20),
    "area": (0.50, 0.32, 0.18),
}
# Log-odds that a level gains per standard deviation of age: the young shop on their phones.
_BY_AGE: Mapping[str, tuple[float, ...]] = {"device": (-0.4, 0.5, 0.2, -0.6)}
_TIER_EDGES = (0.0, 0.85, 1.55)
_SMS_CONSENT = 0.7


@dataclass(frozen=True, slots=True)
class Population:
    """N customers. `x` [N, D] are the columns of the true model at a purchase, `quirk` [N] what no feature shows.

    `features`, `stores` and `consent` hold one value per customer, as the API takes them.
    """

    x: FloatArray
    quirk: FloatArray
    features: Mapping[str, Sequence[ContextValue]]
    stores: Sequence[str | None]
    consent: Mapping[str, Sequence[bool]]

    @property
    def size(self) -> int:
        """Return the number of customers."""
        return len(self.x)

    def at(self, index: IntArray, after_return: NDArray[np.bool_]) -> FloatArray:
        """Return the columns of customers `index` [n] with their trigger filled in, shape [n, D]."""
        x = self.x[index]
        x[:, COLUMNS.index(AFTER_RETURN)] = after_return
        return x


def draw_population(programme: Programme, *, customers: int, seed: int) -> Population:
    """Return simulated customers; the same seed gives the same ones."""
    rng = np.random.default_rng([seed, 1])
    z = rng.standard_normal((customers, len(NUMBERS))) @ np.linalg.cholesky(_CORRELATION).T
    codes = {name: _levels(name, z, rng) for name in LEVELS}
    one_hot = [np.eye(len(levels))[codes[name]] for name, levels in LEVELS.items()]
    features = {**_numbers(z, rng), **{name: _named(name, codes[name], rng) for name in LEVELS}}
    stores: Sequence[str | None] = [None] * customers
    if programme.stores:
        stores = rng.choice(list(programme.stores), customers).tolist()
    return Population(
        x=np.hstack([z, *one_hot, np.zeros((customers, 1))]),
        quirk=rng.standard_normal(customers),
        features={name: values for name, values in features.items() if name in programme.features},
        stores=stores,
        consent={
            name: (rng.random(customers) < _SMS_CONSENT).tolist()
            for name, channel in programme.channels.items()
            if channel.consent_required
        },
    )


def _levels(name: str, z: FloatArray, rng: np.random.Generator) -> IntArray:
    if name == "loyalty_tier":
        standing = 0.7 * z[:, NUMBERS.index("tenure")] + 0.6 * z[:, NUMBERS.index("spend")]
        tiers: IntArray = np.searchsorted(_TIER_EDGES, standing + 0.4 * rng.standard_normal(len(z))).astype(np.int64)
        return tiers
    shares = np.log(_SHARES[name])
    by_age = np.outer(z[:, NUMBERS.index("age")], _BY_AGE.get(name, np.zeros(len(shares))))
    # The largest of log-shares plus Gumbel noise falls on each level with its share.
    levels: IntArray = np.argmax(shares + by_age + rng.gumbel(size=by_age.shape), axis=1).astype(np.int64)
    return levels


def _numbers(z: FloatArray, rng: np.random.Generator) -> dict[str, list[ContextValue]]:
    age, tenure, price_sensitivity, engagement, _ = z.T
    n = len(z)
    tenure_days = np.round(np.exp(5.9 + 0.9 * tenure))
    seen = 1.0 / (1.0 + np.exp(0.4 - 1.1 * price_sensitivity - 0.4 * rng.standard_normal(n)))
    return {
        "age_years": _with_gaps(np.clip(np.round(43 + 13 * age), 18, 90), rng.random(n) < 0.08),
        "tenure_days": _with_gaps(tenure_days, np.zeros(n, bool)),
        # A newcomer has no past orders to take a share of.
        "discount_share": _with_gaps(np.round(seen, 2), (tenure_days < 60) | (rng.random(n) < 0.03)),
        "sessions_90d": _with_gaps(np.round(np.exp(1.7 + 0.8 * engagement)), rng.random(n) < 0.02),
    }


def _named(name: str, codes: IntArray, rng: np.random.Generator) -> list[ContextValue]:
    gaps = rng.random(len(codes)) < (0.0 if name == "loyalty_tier" else 0.03)
    return [None if gap else LEVELS[name][code] for code, gap in zip(codes.tolist(), gaps.tolist(), strict=True)]


def _with_gaps(values: FloatArray, gaps: NDArray[np.bool_]) -> list[ContextValue]:
    return [None if gap else value for value, gap in zip(values.tolist(), gaps.tolist(), strict=True)]
