"""causalml's causal random forest: honest trees that split where the effects differ, one forest for all actions.

Athey and Imbens, "Recursive partitioning for heterogeneous causal effects" (2016); Wager and Athey, "Estimation and
inference of heterogeneous treatment effects using random forests" (2018). Its leaves compare raw averages, so rows are
weighted where the log gave some customers an action more often than others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from decision.records import FloatArray
from experiments.learners.base import Fitted, Rows
from experiments.learners.effects import SMALLEST_PROPENSITY
from experiments.learners.t_learner import INVERSE_PENALTY, arm_names, quiet_causalml
from experiments.learners.trees import Leaf, Split, Tree, laid_out, rounded_edge
from experiments.learners.uncertainty import Refits
from experiments.learners.uplift_forest import ForestFit


class CausalForest:
    """Effects without any form; half of the rows shape a tree, the other half say what its leaves are worth."""

    name = "causalml_causal_forest"
    complexity = 4

    def __init__(self, *, trees: int = 40, depth: int = 6) -> None:
        """`trees` many, of at most `depth` splits."""
        self.trees = trees
        self.depth = depth

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted forest. Raises `NotEnoughData` when an action has fewer than 5 of either outcome."""
        quiet_causalml()
        from causalml.inference.tree import CausalRandomForestRegressor

        arm_names(rows)
        forest = CausalRandomForestRegressor(
            n_estimators=self.trees,
            control_name=0,
            max_depth=self.depth,
            min_samples_leaf=max(50, 25 * rows.actions),
            min_group_samples=10,
            max_features=0.5,
            groups_cnt=False,
            random_state=seed,
            n_jobs=1,
        )
        weights = balancing(rows, seed=seed)
        forest.fit(rows.x, treatment=rows.action, y=rows.outcome.astype(float), sample_weight=weights)
        trees = [_tree(grown.tree_) for grown in forest.estimators_]
        return ForestFit(Refits(self, rows, seed=seed), laid_out(trees, nothing=[0.0] * rows.actions))


def balancing(rows: Rows, *, seed: int) -> FloatArray:
    """Return weights [n] under which no action went to some customers more than to others: its share / propensity.

    Estimated even for a randomised log, as in `effects.propensities`; no row counts for more than fifty.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500, random_state=seed)
    chances = model.fit(rows.x, rows.action).predict_proba(rows.x)
    own = chances[np.arange(len(rows.x)), rows.action]
    share = np.bincount(rows.action, minlength=rows.actions)[rows.action] / len(rows.x)
    return np.asarray(share / np.maximum(own, SMALLEST_PROPENSITY * share), dtype=float)


def _tree(grown: Any, node: int = 0) -> Tree:
    """Return a tree whose leaves hold the average outcome under each action."""
    if grown.children_left[node] < 0:
        return Leaf([float(p) for p in grown.value[node, :, 0]])
    below, above = (_tree(grown, int(child[node])) for child in (grown.children_left, grown.children_right))
    return Split(int(grown.feature[node]), rounded_edge(float(grown.threshold[node])), below, above)
