"""Actions compared with control on what Encore's own bandit collected, by the propensities that it logged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri_exp

from decision.errors import NotEnoughData
from decision.ledger.base import Rewarded
from decision.money import MICROS
from decision.records import CONTROL, Group, RewardStatus
from experiments.ab.bandit_contrasts import BanditLog, contextual_contrast
from experiments.ab.bandit_evidence import enough_rewarded
from experiments.ab.effect import Confidence, Effect
from experiments.ab.multiplicity import Correction, adjusted
from experiments.ab.plans import Plan, level_now, read
from experiments.ab.soundness import Finding

CLAIM = (
    "Actions are compared on decisions in which both could be drawn, each weighed by the probability with which it "
    "was: "
    "that is causal for these decisions, as the draw was random given what was known. A naive mean by action is not."
)


@dataclass(frozen=True, slots=True)
class ActionEffect:
    """An action against control, in currency units per decision; without an effect, why not.

    The effect's p-value is the plan's; `adjusted_p_value` is corrected for all actions that are compared.
    """

    action: str
    decisions: int
    effect: Effect | None
    reason: str = ""
    adjusted_p_value: float | None = None


def action_effects(
    rewarded: Iterable[Rewarded], plan: Plan, correction: Correction = Correction.HOLM
) -> tuple[ActionEffect, ...]:
    """Return every action against control, from final decisions that a policy or chance drew, as a plan lets them be
    read.

    The holdout and business as usual draw nothing, so that they are left out. A plan's units are decisions here.
    """
    rows = [
        one
        for one in rewarded
        if one.decision.group in (Group.POLICY, Group.RANDOM)
        and one.reward.status is RewardStatus.FINAL
        and not one.decision.observational
    ]
    rows.sort(key=lambda one: (one.decision.decided_at, one.decision.decision_id))
    actions = sorted({name for one in rows for name in one.decision.allowed} - {CONTROL})
    level = level_now(plan, len(rows)) if rows else None
    if level is None or not actions:
        return ()
    place = {name: k for k, name in enumerate([CONTROL, *actions])}
    propensity = np.zeros((len(rows), len(place)))
    for t, one in enumerate(rows):
        for name, probability in zip(one.decision.allowed, one.decision.distribution, strict=True):
            propensity[t, place[name]] = probability
    log = BanditLog(
        np.array([place[one.decision.action_id] for one in rows]),
        np.array([(one.reward.margin_micros - one.reward.cost_micros) / MICROS for one in rows]),
        propensity,
    )
    customer = np.array([one.decision.customer_id for one in rows])
    found = [_effect(log, name, place[name], customer, Confidence(level)) for name in actions]
    return _corrected([_as_planned(one, plan, len(rows)) for one in found], correction)


def _effect(log: BanditLog, name: str, k: int, customer: NDArray[np.str_], confidence: Confidence) -> ActionEffect:
    drawn = int((log.action == k).sum())
    try:
        check = enough_rewarded(log, (k, 0), (name, CONTROL), cluster=customer)
        if check.finding is Finding.UNSOUND:
            return ActionEffect(name, drawn, None, check.sentence)
        return ActionEffect(name, drawn, contextual_contrast(log, (k, 0), cluster=customer, confidence=confidence))
    except NotEnoughData as error:
        return ActionEffect(name, drawn, None, str(error))


def _as_planned(one: ActionEffect, plan: Plan, decisions: int) -> ActionEffect:
    """Give an action's effect the p-value that the plan makes of it; its interval is as wide as the plan's already.

    The plan reads normal statistics, so that it is told the one which is as rare as this Student's.
    """
    if one.effect is None:
        return one
    z = -float(ndtri_exp(one.effect.log_p_value - math.log(2)))
    if not z > 0:
        return replace(one, effect=replace(one.effect, log_p_value=0.0))
    as_normal = replace(one.effect, standard_error=abs(one.effect.estimate) / z, degrees_of_freedom=math.inf)
    log_p = read(plan, as_normal, decisions).effect.log_p_value
    return replace(one, effect=replace(one.effect, log_p_value=log_p))


def _corrected(found: list[ActionEffect], correction: Correction) -> tuple[ActionEffect, ...]:
    p = iter(adjusted([one.effect.p_value for one in found if one.effect is not None], correction))
    return tuple(one if one.effect is None else replace(one, adjusted_p_value=next(p)) for one in found)
