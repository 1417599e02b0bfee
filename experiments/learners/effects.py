"""What causalml's X-, R- and DR-learners share: effects in percentage points over the odds under control.

They estimate effects, not odds, so the odds under control come from a ridge logistic model on control's own rows, and
the effects are linear. causalml's default base learners overfit at these sizes, so the base learners are set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from decision.bundle.models import EffectOdds
from decision.records import FloatArray
from experiments.learners.base import Export, Learner, Rows
from experiments.learners.t_learner import INVERSE_PENALTY
from experiments.learners.uncertainty import Refits, Refitted

RIDGE = 100.0
# causalml divides by propensities; a logging policy that nearly never does something would blow the noise up.
SMALLEST_PROPENSITY = 0.02


@dataclass(frozen=True, slots=True)
class EffectFit(Refitted):
    """See `decision.bundle.models.EffectOdds`."""

    served: EffectOdds

    def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
        """Return odds, shape [n, K]; the same rule in and out of sample."""
        del in_sample
        return self.served.predict(x)

    def export(self) -> Export:
        """Return the two sets of coefficients."""
        return Export("effects", {"control": self.served.control, "effects": self.served.effects})


def propensities(rows: Rows, names: list[str], *, seed: int) -> dict[str, FloatArray]:
    """Return the estimated probability [n] of each treatment among itself and control.

    Estimated even for a randomised log: what is allowed, and so what is drawn, may depend on the context.
    """
    from sklearn.linear_model import LogisticRegression

    found = {}
    for k, name in enumerate(names[1:], start=1):
        both = np.isin(rows.action, (0, k))
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500, random_state=seed)
        model.fit(rows.x[both], rows.action[both] == k)
        found[name] = np.clip(model.predict_proba(rows.x)[:, 1], SMALLEST_PROPENSITY, 1.0 - SMALLEST_PROPENSITY)
    return found


def effect_fit(learner: Learner, rows: Rows, predict: Callable[[FloatArray], FloatArray], *, seed: int) -> EffectFit:
    """Return the fit whose effects are those of `predict` ([m, D] contexts into [m, K - 1], linear in the context).

    `learner` is whose effects they are.
    """
    from sklearn.linear_model import LogisticRegression

    control = rows.action == 0
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500, random_state=seed)
    model.fit(rows.x[control], rows.outcome[control])
    # A linear function is known from its values at the origin and one step along each fact.
    probes = np.vstack([np.zeros(rows.x.shape[1]), np.eye(rows.x.shape[1])])
    at = np.asarray(predict(probes), dtype=float).reshape(len(probes), rows.actions - 1)
    effects = np.vstack([np.zeros(len(probes)), np.hstack([at[:1].T, (at[1:] - at[0]).T])])
    served = EffectOdds(np.concatenate([model.intercept_, model.coef_[0]]), effects)
    return EffectFit(Refits(learner, rows, seed=seed), served)


def same_for_all(shares: Mapping[str, FloatArray], n: int) -> dict[str, FloatArray]:
    """Return the average propensity of each treatment for n contexts, where only a weight is asked for."""
    return {name: np.full(n, share.mean()) for name, share in shares.items()}
