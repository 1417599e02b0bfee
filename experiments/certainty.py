"""For how many customers is the model sure that its best treatment beats leaving them alone?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures
from decision.programme.model import Programme
from decision.records import FloatArray, action_named
from decision.stages.context import Encoder
from experiments.challenger import Challenger
from experiments.component_uncertainty import component_uncertainty
from experiments.components import worths
from experiments.dataset import Dataset
from experiments.encoding import encode_all
from experiments.train_metrics import best_treatment

SAMPLE = 1_000
REACH = 1.96


@dataclass(frozen=True, slots=True)
class Certainty:
    """Shares of `decisions` by where the 95 % interval of the best treatment's gain over control lies.

    `above` zero, `below` it, and what is left: the model can't tell.
    """

    above: float
    below: float
    decisions: int

    @property
    def sentence(self) -> str:
        """Return the shares in words."""
        unsure = 1.0 - self.above - self.below
        return (
            f"In a sample of {self.decisions:,} decisions the best treatment is clearly worth more than control for "
            f"{100 * self.above:.0f} %, clearly less for {100 * self.below:.0f} %, and for {100 * unsure:.0f} % the "
            "model can't tell (95 % interval of each gain)."
        )

    def metrics(self) -> Mapping[str, float]:
        """Return the shares under the names of metrics."""
        return {"share_clear_of_control": self.above, "share_clear_below_control": self.below}


def certainty(data: Dataset, challenger: Challenger, programme: Programme, *, seed: int) -> Certainty | None:
    """Return how sure the challenger is, on a seeded sample of 1,000 decisions; None where the data can't tell.

    Gains are out of fold. How sure they are is said by the fit on all rows, its baskets and its rates of redemption.
    """
    keep = np.zeros(len(data), dtype=bool)
    keep[np.random.default_rng(seed).permutation(len(data))[:SAMPLE]] = True
    keep &= data.allowed[:, 1:].any(axis=1)
    part, odds, value = data.where(keep), challenger.chosen.odds[keep], challenger.chosen.value[keep]
    if not len(part):
        return None
    x = encode_all(Encoder(challenger.manifest.columns), part.contexts)
    try:
        uncertainty = challenger.fitted.uncertainty(x)
    except NotEnoughData:
        return None
    components = challenger.models.predict(x, odds)

    def price(basket: FloatArray, redemption: FloatArray) -> FloatArray:
        seen = structs.replace(components, basket=basket, redemption=redemption)
        return worths(programme, part, seen).per_repurchase

    # A price is a line in the basket and in the rate of redemption: these are its slopes.
    known = price(components.basket, components.redemption)
    by_log_basket = odds * (price(2.0 * components.basket, components.redemption) - known)
    by_redemption = odds * (price(components.basket, components.redemption + 1.0) - known)
    everybody = encode_all(Encoder(challenger.manifest.columns), data.contexts)
    features = ActionFeatures([action_named(a) for a in data.catalogue], everybody.shape[1])
    parts = component_uncertainty(data, everybody, features, challenger.models)
    spread = np.sqrt(
        uncertainty.of_gain(odds, known) ** 2
        + parts.basket_gain(x, by_log_basket) ** 2
        + (parts.redemption * by_redemption) ** 2
    )
    rows, best = np.arange(len(part)), best_treatment(value)
    gain = value[rows, best] - value[:, 0]
    reach = REACH * spread[rows, best]
    return Certainty(float((gain > reach).mean()), float((gain < -reach).mean()), len(part))
