"""causalml's uplift random forest: splits where the distributions of outcome under the actions diverge.

Rzepakowski and Jaroszewicz, "Decision trees for uplift modeling with single and multiple treatments" (2012).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from decision.bundle.models import ForestOdds
from decision.records import FloatArray
from experiments.learners.base import Export, Fitted, Rows
from experiments.learners.t_learner import arm_names, quiet_causalml
from experiments.learners.trees import Leaf, Split, Tree, laid_out, rounded_edge
from experiments.learners.uncertainty import Refits, Refitted


class UpliftForest:
    """Steps and interactions that a linear model misses, paid for in variance."""

    name = "causalml_uplift_forest"
    complexity = 3

    def __init__(self, *, trees: int = 20, depth: int = 4) -> None:
        """`trees` many, of at most `depth` splits."""
        self.trees = trees
        self.depth = depth

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted forest. Raises `NotEnoughData` when an action has fewer than 5 of either outcome."""
        quiet_causalml()
        from causalml.inference.tree import UpliftRandomForestClassifier

        names = arm_names(rows)
        leaf = max(100, 25 * rows.actions)
        forest = UpliftRandomForestClassifier(
            control_name=names[0],
            n_estimators=self.trees,
            max_depth=self.depth,
            max_features=max(rows.x.shape[1] // 2, 1),
            min_samples_leaf=leaf,
            min_samples_treatment=max(leaf // (3 * rows.actions), 5),
            n_reg=100,
            evaluationFunction="KL",
            random_state=seed,
            n_jobs=1,
        )
        forest.fit(rows.x, treatment=np.array(names)[rows.action], y=rows.outcome.astype(int))
        trees = [_tree(tree.fitted_uplift_tree) for tree in forest.uplift_forest]
        return ForestFit(Refits(self, rows, seed=seed), laid_out(trees, nothing=[0.0] * rows.actions))


@dataclass(frozen=True, slots=True)
class ForestFit(Refitted):
    """The forest as arrays; see `decision.bundle.models.ForestOdds`."""

    arrays: Mapping[str, np.ndarray]

    def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
        """Return odds, shape [n, K]; in-sample leaves remember their rows, so don't judge by them."""
        del in_sample
        parts = {name: array for name, array in self.arrays.items() if name != "depth"}
        odds = ForestOdds(**parts, depth=int(self.arrays["depth"]))
        return np.array([odds.predict(row) for row in x]).reshape(len(x), odds.leaf.shape[1])

    def export(self) -> Export:
        """Return the arrays as they are."""
        return Export("forest", self.arrays)


def _tree(node: Any) -> Tree:
    if node.results is not None:
        return Leaf([float(p) for p in node.results])
    return Split(int(node.col), rounded_edge(node.value), below=_tree(node.falseBranch), above=_tree(node.trueBranch))
