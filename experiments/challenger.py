"""From a training set to a challenger: manifest and arrays, and why its learner was chosen. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from decision import __version__
from decision.bundle.manifest import FORMAT, Manifest, Provenance
from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures, PriorScales
from decision.policies.posterior import Posterior, logit
from decision.programme.model import Programme
from decision.records import FloatArray, action_named
from decision.serving import posterior_arrays
from experiments.components import ComponentModels, fit_components
from experiments.dataset import Dataset
from experiments.encoding import fit_encoder
from experiments.learners import USUAL
from experiments.learners.base import Fitted, Learner, Rows
from experiments.level_rates import rate_levels
from experiments.selection import Candidate, choose, cross_fit

FEWEST_DECISIONS = 500
# Steps of 0.4 % of probability; the bench of bandits runs with as many.
DRAWS = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train: `folds` of customers, repeated `repeats` times over seeds from `seed` on.

    `exploration` is the least share of the bandit's standard deviations, see `decision.policies.thompson`.
    """

    seed: int
    folds: int = 3
    repeats: int = 2
    policy: str = "thompson"
    exploration: float = 0.2


@dataclass(frozen=True, slots=True)
class Challenger:
    """What training gives: the parts of a bundle, all candidates, and the sentence why one was chosen.

    `fitted` and `models` are what the bundle's arrays were made of.
    """

    manifest: Manifest
    arrays: Mapping[str, np.ndarray]
    candidates: tuple[Candidate, ...]
    chosen: Candidate
    because: str
    fitted: Fitted
    models: ComponentModels


def build_challenger(
    data: Dataset,
    programme: Programme,
    settings: Settings,
    *,
    now: datetime,
    run_id: str = "",
    learners: Mapping[str, Learner] = USUAL,
    tell: Callable[[str], None] = lambda _: None,
) -> Challenger:
    """Choose a learner by out-of-sample money, fit it on all of `data`, and put the bundle's parts together.

    Raises
    ------
    NotEnoughData : fewer than 500 finished decisions, or no learner can be fitted on them.
    """
    if len(data) < FEWEST_DECISIONS:
        raise NotEnoughData(
            f"Expected at least {FEWEST_DECISIONS} finished decisions to train on, found {len(data)}.",
            hint="Import a past trial, or give the random group a larger share for a while. Decisions made after an "
            "unfinished one wait for it: `encore learn` finishes them.",
        )
    rated = rate_levels(fit_encoder(data.contexts), data.contexts, data.repurchased, data.customers)
    encoder, x = rated.encoder, rated.x_for(np.ones(len(data), dtype=bool))
    features = ActionFeatures([action_named(a) for a in data.catalogue], encoder.width)
    candidates = cross_fit(
        data,
        x,
        features,
        programme,
        folds=settings.folds,
        repeats=settings.repeats,
        seed=settings.seed,
        learners=learners,
        x_for=rated.x_for,
        tell=lambda name: tell(f"cross-fitting {name}"),
    )
    chosen, because = choose(candidates)
    tell(f"fitting {chosen.name} on all {len(data):,} rows")
    rows = Rows(x, data.action, data.repurchased, features, data.customers)
    fitted = learners[chosen.name].fit(rows, seed=settings.seed)
    head, models = fitted.export(), fit_components(data, x, features, seed=settings.seed)
    manifest = Manifest(
        format=FORMAT,
        created_at=now,
        policy=settings.policy,
        actions=data.catalogue,
        columns=encoder.columns,
        heads={"repurchase": head.kind} | ({} if models.visit is None else {"visit": "linear"}),
        draws=DRAWS,
        exploration=settings.exploration,
        seed=settings.seed,
        # Nothing of the training set comes later, and nothing unfinished earlier, see `dataset.training_set`.
        trained_through=data.ends_at + timedelta(microseconds=1),
        arrays_sha256="",
        provenance=Provenance(
            learner=chosen.name,
            run_id=run_id,
            data_sha256=data.sha256,
            rows=len(data),
            seed=settings.seed,
            programme_digest=programme.digest,
            encore_version=__version__,
        ),
    )
    arrays = {f"repurchase.{name}": array for name, array in head.arrays.items()}
    belief = posterior_arrays(_belief(data, x, features, chosen.odds))
    arrays |= {**models.arrays(), **belief}
    return Challenger(manifest, arrays, tuple(candidates), chosen, because, fitted, models)


def _belief(data: Dataset, x: FloatArray, features: ActionFeatures, odds: FloatArray) -> Posterior:
    """Return what the bandit starts from: the residual of the out-of-fold odds, learned on the training set.

    Out of fold, because a model's own training rows would make its residual look smaller than it is. Of randomised
    decisions alone: what nobody drew does not teach a bandit.
    """
    drawn = ~data.observational
    prior = Posterior.prior(features.prior_variance(PriorScales()))
    if not drawn.any():
        return prior
    logged = odds[np.arange(len(data)), data.action][drawn]
    return prior.updated(features.design(data.action[drawn], x[drawn]), logit(logged), data.repurchased[drawn])
