"""The hazard of a purchase in a week given what is known, and what follows from it while nothing is bought.

Discrete-time survival (Cox 1972, Allison 1982): every week before the cut is learned from, also by those who have not
bought again yet, and a state that ages says how the hazard goes on. The chance of a purchase within any horizon is one
minus the product of the weeks without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from decision.policies.posterior import sigmoid
from decision.records import FloatArray, IntArray
from experiments.behaviour.columns import ALL, DIRECTIONS, GROWN, MONOTONE, RHYTHM, Hinges, fit_hinges
from experiments.behaviour.forest import Forest, forest_of
from experiments.behaviour.panel import Panel
from experiments.behaviour.season import WAVES, Season, known_waves, waves

# The inverse of the ridge's penalty; best in log loss at four origins in spring of a year's history of a gift shop.
RIDGE = 0.1
# A wave's height is thought to be within 0.3 of log-hazard, about what a Christmas season is; a shorter one's less.
WAVE_SCALE = 0.3 / RIDGE**0.5


class Hazard(Protocol):
    """Log-odds of a purchase within a week."""

    def log_odds(self, x: FloatArray, day: float) -> FloatArray:
        """Return log-odds, [n], from facts [n, all] at a day."""
        ...


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear in hinges and in the year's wave."""

    hinges: Hinges
    intercept: float
    weights: FloatArray
    season: Season

    def log_odds(self, x: FloatArray, day: float) -> FloatArray:
        """Return log-odds, [n]."""
        return np.asarray(self.intercept + self.hinges.weighed(x, self.weights) + self.season.height(day))


@dataclass(frozen=True)
class Trees:
    """Boosted trees over the year's wave; `text` is LightGBM's own format."""

    of: IntArray
    level: float
    season: Season
    text: str

    @cached_property
    def forest(self) -> Forest:
        """Return the trees, read once."""
        return forest_of(self.text)

    def log_odds(self, x: FloatArray, day: float) -> FloatArray:
        """Return log-odds, [n]."""
        return np.asarray(self.level + self.season.height(day) + self.forest.raw(x[:, self.of]))


def fit_linear(panel: Panel, of: tuple[int, ...] = ALL, *, weights: FloatArray | None = None) -> Linear:
    """Return the ridge-penalised logistic model of the hazard; `weights` [n] count rows more than once."""
    from sklearn.linear_model import LogisticRegression

    hinges = fit_hinges(panel.x, of)
    columns = hinges.columns(panel.x)
    seen = known_waves(int(panel.day.max() - panel.day.min()) + 2 * 7)
    scale = WAVE_SCALE / np.repeat(np.arange(1, WAVES + 1), 2)[:seen]
    wave = scale * waves(panel.day)[:, :seen]
    columns = np.concatenate([columns, wave], axis=1)
    model = LogisticRegression(C=RIDGE, solver="newton-cholesky").fit(columns, panel.bought, sample_weight=weights)
    found = model.coef_[0]
    n = len(found) - seen
    heights: list[float] = [*(scale * found[n:]).tolist(), 0.0, 0.0][: max(seen, 2)]
    season = Season(heights[0], heights[1], tuple(heights[2:]))
    return Linear(hinges, float(model.intercept_[0]), found[:n], season)


def fit_rhythm(panel: Panel, *, weights: FloatArray | None = None) -> Linear:
    """Return the same of few facts, those of a customer's own rhythm."""
    return fit_linear(panel, RHYTHM, weights=weights)


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """What trees look at, and how they grow; `directions` forces monotone effects, one per fact."""

    of: tuple[int, ...]
    rate: float
    directions: tuple[int, ...] = ()


FREE = TreeSettings(GROWN, 0.09)
DIRECTED = TreeSettings(MONOTONE, 0.06, DIRECTIONS)
ROUNDS = 150


def fit_trees(panel: Panel, base: Linear, settings: TreeSettings, *, seed: int) -> Trees:
    """Return boosted trees on top of the level, and of the season as the linear hazard has it."""
    import lightgbm

    of = np.array(settings.of)
    mean = float(panel.bought.mean())
    level = float(np.log(mean / (1.0 - mean)))
    calendar = base.season.height(panel.day)
    parameters = {
        "objective": "binary",
        "learning_rate": settings.rate,
        "num_leaves": 6,
        "min_data_in_leaf": 200,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "feature_fraction": 0.7,
        "lambda_l2": 10.0,
        "verbose": -1,
        "num_threads": 1,
        "seed": seed,
        "deterministic": True,
    }
    if settings.directions:
        parameters["monotone_constraints"] = list(settings.directions)
    data = lightgbm.Dataset(panel.x[:, of], panel.bought, init_score=level + calendar)
    booster = lightgbm.train(parameters, data, num_boost_round=ROUNDS)
    return Trees(of, level, base.season, booster.model_to_string())


def weekly_to(log_odds: FloatArray, days: float) -> FloatArray:
    """Return the cumulative hazard, -log P(no purchase), over so many days at the weekly log-odds."""
    return np.asarray(-np.log1p(-np.minimum(sigmoid(log_odds), 1.0 - 1e-12)) * days / 7.0)
