"""causalml's S-learner over LightGBM: for each treatment one model with the treatment as a fact among others.

Künzel et al., "Metalearners for estimating heterogeneous treatment effects" (2019). The odds under control, of which
every one of the models has an opinion, are their average in log-odds.
"""

from __future__ import annotations

import numpy as np

from decision.bundle.models import ShapedOdds, Shapes
from experiments.learners.base import Fitted, Rows
from experiments.learners.basis import NOWHERE
from experiments.learners.pooled_boosted import BoostedFit, resolved
from experiments.learners.t_learner import arm_names, quiet_causalml
from experiments.learners.trees import laid_out, scaled
from experiments.learners.uncertainty import Refits


class SLearner:
    """Treats the treatment as one more fact, so small effects are easily overlooked."""

    name = "causalml_s_learner"
    complexity = 3

    def __init__(self, *, trees: int = 40) -> None:
        """`trees` many for each treatment."""
        self.trees = trees

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted trees. Raises `NotEnoughData` when an action has fewer than 5 of either outcome."""
        quiet_causalml()
        from causalml.inference.meta import BaseSClassifier
        from lightgbm import LGBMClassifier

        names = arm_names(rows)
        base = LGBMClassifier(
            n_estimators=self.trees, num_leaves=8, learning_rate=0.08, min_child_samples=100, reg_lambda=20.0,
            random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbosity=-1,
        )  # fmt: skip
        model = BaseSClassifier(learner=base, control_name=names[0])
        model.fit(rows.x, treatment=np.array(names)[rows.action], y=rows.outcome.astype(int))
        trees, owner = [], []
        for k, name in enumerate(names[1:], start=1):
            for info in model.models[name].booster_.dump_model()["tree_info"]:
                # causalml puts the treatment before the facts.
                without, treated = (resolved(info["tree_structure"], [w]) for w in (0.0, 1.0))
                trees += [scaled(without, 1.0 / (rows.actions - 1)), treated]
                owner += [0, k]
        width = rows.x.shape[1]
        flat = Shapes(np.zeros(width), np.ones(width), NOWHERE, np.zeros(0), NOWHERE, NOWHERE)
        nothing = ShapedOdds(flat, np.zeros((rows.actions, 1 + width)))
        return BoostedFit(Refits(self, rows, seed=seed), nothing, {**laid_out(trees), "owner": np.array(owner)})
