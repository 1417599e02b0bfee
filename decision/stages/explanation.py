"""Why this customer got this answer, in codes and sentences; what it promises, and the coupon that redeems it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from decision.money import from_micros
from decision.programme.model import Programme
from decision.records import Action, ContextValue, Decision, FloatArray, Group, Promise, Reason
from decision.serving import Champion, Serving, Valued

Sentence = tuple[str, str]


def reasons(
    group: Group, refusal: tuple[Reason, str] | None, serving: Serving, valued: Valued | None, chosen: int
) -> tuple[Sentence, ...]:
    """Return (code, sentence) pairs for the allowed action number `chosen`."""
    if refusal is not None:
        return ((refusal[0].value, refusal[1]),)
    if group is Group.HOLDOUT:
        return ((Reason.HOLDOUT.value, "this customer is never treated: the programme is measured against her"),)
    if group is Group.POLICY and serving.missing is not None:
        return ((Reason.POLICY_MISSING.value, f"the promoted policy {serving.missing} can't be read"),)
    if group is Group.RANDOM:
        return ((Reason.RANDOM.value, "any allowed action with equal probability: unbiased training data"),)
    if group is Group.BUSINESS_AS_USUAL or valued is None:
        code = Reason.BUSINESS_AS_USUAL if group is Group.BUSINESS_AS_USUAL else Reason.NO_POLICY
        return ((code.value, "the shop's own rule"),)
    sentence = _by_value(serving, valued, chosen)
    return (sentence,) if valued.shadow_price is None else (sentence, _paced(serving, valued.shadow_price, chosen))


def _paced(serving: Serving, price: FloatArray, chosen: int) -> Sentence:
    """Say what the chosen action [K] is charged for scarce budgets, and the dearest one."""
    dearest, currency = float(price.max()), serving.programme.currency
    sentence = f"values are after what scarce budgets charge: {price[chosen]:.2f} {currency} for this action"
    return Reason.BUDGET_PACED.value, f"{sentence}, {dearest:.2f} for the dearest"


def _by_value(serving: Serving, valued: Valued, chosen: int) -> Sentence:
    values, currency = valued.net.tolist(), serving.programme.currency
    best = values.index(max(values))
    sentence = f"expected value {values[chosen]:.2f} {currency} against {values[0]:.2f} for control"
    if chosen == best:
        return Reason.HIGHEST_VALUE.value, sentence
    return Reason.EXPLORED.value, f"{sentence}; the highest was {values[best]:.2f}, another was tried to learn"


def contributions(decision: Decision, programme: Programme, champion: Champion | None) -> list[tuple[str, float]]:
    """Return the five facts that moved the decision most, with how far, in the programme's currency.

    The effect of a fact is how much the action's lead over control (for control: over the best other action)
    falls when the fact is taken as unknown. Empty where no policy foresaw anything.
    """
    if champion is None or len(decision.allowed) < 2 or decision.action_id not in champion.index:
        return []
    whole = _lead(decision, decision.context, programme, champion)
    effects = []
    for column in champion.encoder.columns:
        if column.name in decision.context:
            without = {name: fact for name, fact in decision.context.items() if name != column.name}
            effects.append((column.name, whole - _lead(decision, without, programme, champion)))
    moved = [(name, effect) for name, effect in effects if abs(effect) > 1e-9]
    return sorted(moved, key=lambda item: -abs(item[1]))[:5]


def _lead(decision: Decision, context: Mapping[str, ContextValue], programme: Programme, champion: Champion) -> float:
    known = {action.action_id: action for action in programme.actions}
    actions = [known[a] for a in decision.allowed if a in known and a in champion.index]
    goal = programme.goal_of(decision.store)
    value = champion.value(programme, goal, allowed=actions, context=context).value
    ids = [action.action_id for action in actions]
    if decision.action_id not in ids or len(ids) < 2:
        return 0.0
    chosen = ids.index(decision.action_id)
    rival = 0 if chosen else 1 + int(value[1:].argmax())
    return float(value[chosen] - value[rival])


def promise(action: Action, programme: Programme) -> Promise | None:
    """Return what an action promises under the programme; None for control and for an offer that was dropped."""
    offer = None if action.is_control else programme.offers.get(action.offer)
    if offer is None:
        return None
    terms = dict(offer.terms)
    if offer.min_basket_micros:
        amount = from_micros(offer.min_basket_micros, programme.currency)
        terms["min_basket"] = {"amount": str(amount), "currency": programme.currency}
    return Promise(offer.kind, terms)


def coupon(action: Action, decision_id: str, *, salt: str) -> str | None:
    """Return the code of an offer, the same for the same decision; None for control and plain messages."""
    if not action.redeemable:
        return None
    digest = hashlib.sha256(f"{salt}\x1fcoupon\x1f{decision_id}".encode()).digest()
    return base64.b32encode(digest[:10]).decode()[:12]
