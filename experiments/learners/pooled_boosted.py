"""The pooled sparse model, and gradient boosting on what it leaves unexplained.

One boosted model for all actions: the trees see the facts and the blocks that an action is in, so that offers and
channels share strength in the trees as well. Few, small, slow trees, heavily regularised, because a trial's outcomes
are rare and noisy. Ke et al., "LightGBM: a highly efficient gradient boosting decision tree" (2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from decision.bundle.models import BOOSTED_PARTS, BoostedOdds, ShapedOdds
from decision.policies.posterior import logit
from decision.records import FloatArray, IntArray
from experiments.learners.base import Export, Fitted, Rows
from experiments.learners.pooled_sparse import PooledSparse, SparseFit, shaped_arrays
from experiments.learners.trees import Leaf, Split, Tree, laid_out
from experiments.learners.uncertainty import Refits, Refitted

TREES = 60
PARAMETERS = {
    "objective": "binary",
    "num_leaves": 8,
    "learning_rate": 0.05,
    "min_data_in_leaf": 200,
    "lambda_l2": 100.0,
    "feature_fraction": 0.8,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


class PooledBoosted:
    """Interactions of any order that the pooled model's columns can't say."""

    name = "pooled_boosted"
    complexity = 4

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted model. Raises `NotEnoughData` below ten of either outcome."""
        import lightgbm

        start = PooledSparse().fit(rows, seed=seed)
        if not isinstance(start, SparseFit):
            raise TypeError(f"Expected the pooled sparse model, found {type(start).__name__}.")
        codes = start.blocks.codes[:, 1:]
        before = logit(start.predict(rows.x, in_sample=True)[np.arange(len(rows.x)), rows.action])
        seen = lightgbm.Dataset(np.hstack([codes[rows.action], rows.x]), rows.outcome, init_score=before)
        booster = lightgbm.train({**PARAMETERS, "seed": seed}, seen, num_boost_round=TREES)
        grown = [info["tree_structure"] for info in booster.dump_model()["tree_info"]]
        trees = [[resolved(tree, code) for tree in grown] for code in codes]
        owner = np.repeat(np.arange(len(codes)), [len(own) for own in trees])
        refits = Refits(self, rows, seed=seed)
        return BoostedFit(refits, start.served, {**laid_out([tree for own in trees for tree in own]), "owner": owner})


@dataclass(frozen=True, slots=True)
class BoostedFit(Refitted):
    """See `decision.bundle.models.BoostedOdds`."""

    shaped: ShapedOdds
    trees: Mapping[str, np.ndarray]

    def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
        """Return odds, shape [n, K]; in-sample trees remember their rows, so don't judge by them."""
        del in_sample
        parts: dict[str, IntArray | FloatArray] = {part: self.trees[part] for part in BOOSTED_PARTS}
        served = BoostedOdds(self.shaped, **parts, depth=int(self.trees["depth"]))  # type: ignore[arg-type]
        return np.array([served.predict(row) for row in x]).reshape(len(x), len(self.shaped.coefficients))

    def export(self) -> Export:
        """Return the pooled model's arrays and the trees'."""
        return Export("boosted", {**shaped_arrays(self.shaped), **self.trees})


def resolved(node: Mapping[str, Any], code: Sequence[float]) -> Tree:
    """Return a LightGBM tree for one action: where it asks for the action, the answer is taken.

    The columns it was grown on are the action's `code`, then the facts.
    """
    if "leaf_value" in node:
        return Leaf(float(node["leaf_value"]))
    column, threshold = int(node["split_feature"]), float(node["threshold"])
    if column < len(code):
        return resolved(node["right_child" if code[column] > threshold else "left_child"], code)
    below, above = (resolved(node[child], code) for child in ("left_child", "right_child"))
    return Split(column - len(code), threshold, below, above)
