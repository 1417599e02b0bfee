"""The use case: which action for this customer, now?"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, structs

from decision.errors import Conflict, IdempotencyMismatch, LedgerError
from decision.flow.recommend import recommended
from decision.ledger.base import Ledger
from decision.policies.base import Situation
from decision.records import CONTROL_ALONE, Customer, Decision, DecisionRequest, Group, Reservation
from decision.serving import Serving
from decision.stages import choice, context, eligibility, explanation, groups, guardrails

ATTEMPTS = 20


def decide(request: DecisionRequest, *, serving: Serving, ledger: Ledger, now: datetime) -> Decision:
    """Return the decision for a request, durable before this returns; the same id gives the same decision.

    Ids are nearly always new, so that the ledger is asked for an earlier decision only when this one comes to nothing.

    Raises
    ------
    IdempotencyMismatch : the id exists with another body.
    LedgerError : the ledger can't be read or written, or others kept getting there first.
    """
    try:
        return _decided(request, serving=serving, ledger=ledger, now=now)
    except IdempotencyMismatch:
        raise
    except Exception:
        # What was answered before stays the answer, whatever fails now. What is of now was answered to nobody.
        earlier = recall(request.decision_id, fingerprint=request.fingerprint, ledger=ledger)
        if earlier is None or earlier.decided_at == now:
            raise
        return earlier


def _decided(request: DecisionRequest, *, serving: Serving, ledger: Ledger, now: datetime) -> Decision:
    exhausted: frozenset[str] = frozenset()
    for _ in range(ATTEMPTS):
        customer = ledger.customer(request.customer_id, contacts_since=serving.programme.frequency_since(now))
        if names := serving.programme.profile:
            customer = structs.replace(customer, profile=ledger.profiles.of(request.customer_id, names))
        proposal = propose(request, customer, serving=serving, ledger=ledger, now=now, exhausted=exhausted)
        try:
            ledger.record_decision(
                proposal.decision, proposal.taken, at_stake=proposal.at_stake, seen_version=customer.version
            )
            return proposal.decision
        except Conflict as conflict:
            if earlier := recall(request.decision_id, fingerprint=request.fingerprint, ledger=ledger):
                return earlier
            exhausted |= conflict.exhausted
    raise LedgerError(f"Expected decision {request.decision_id} to be written within {ATTEMPTS} attempts.")


def recall(decision_id: str, *, fingerprint: str, ledger: Ledger) -> Decision | None:
    """Return the decision that was made under an id before, or None.

    Raises
    ------
    IdempotencyMismatch : it was asked for with another body.
    """
    earlier = ledger.decision(decision_id)
    if earlier is not None and earlier.fingerprint != fingerprint:
        raise IdempotencyMismatch(
            f"Expected the body that decision {decision_id} was first asked with, found another.",
            hint="Use a new id for a new question.",
        )
    return earlier


class Proposal(Struct, frozen=True):
    """A decision before it is written, what it takes from budgets, and what any of its allowed actions would."""

    decision: Decision
    taken: tuple[Reservation, ...]
    at_stake: tuple[Reservation, ...]


def propose(
    request: DecisionRequest,
    customer: Customer,
    *,
    serving: Serving,
    ledger: Ledger,
    now: datetime,
    exhausted: frozenset[str] = frozenset(),
) -> Proposal:
    """Return what would be decided now, without writing it; `exhausted` are budgets just lost to others."""
    programme = serving.programme
    refusal = eligibility.assess(request, customer, programme.eligibility, problems=serving.shelf.problems)
    group = groups.assign(request.customer_id, salt=programme.salt, shares=programme.shares)
    champion = serving.champion if group is Group.POLICY else None
    purse = guardrails.Purse(programme, store=request.store, basket_micros=request.order.total_micros, now=now)
    reach = guardrails.reach_of(programme, request, customer, now=now)
    situation = guardrails.Situation(
        request=request,
        customer=customer,
        reach=reach,
        now=now,
        used=ledger.used(purse.budgets.keys),
        exhausted=exhausted,
        catalogue=champion.index.keys() if champion else None,
    )
    is_lost = group is Group.POLICY and serving.missing is not None
    untreated = refusal is not None or group is Group.HOLDOUT or is_lost
    menu, rejected = (CONTROL_ALONE, ()) if untreated else guardrails.apply(programme, situation, purse)
    facts = context.build(request, customer, reach, programme=programme, now=now)
    valued = serving.value(menu, facts, request.store)
    policy, floor = serving.policy_of(group)
    outlook = valued.outlook if valued else None
    distribution = choice.with_floor(policy.distribution(Situation(request.trigger, menu.actions, outlook)), floor)
    chosen = choice.sample(
        distribution, draw=choice.draw_for(request.decision_id, salt=programme.salt, attempt=len(exhausted))
    )
    action = menu.actions[chosen]
    cost = programme.cost_of(action)
    decision = Decision(
        decision_id=request.decision_id,
        customer_id=request.customer_id,
        trigger=request.trigger,
        store=request.store,
        order_id=request.order.order_id,
        decided_at=now,
        group=group,
        action_id=action.action_id,
        propensity=float(distribution[chosen]),
        policy_version=serving.version,
        allowed=menu.ids,
        distribution=tuple(distribution.tolist()),
        context=facts,
        predictions=valued.by_name() if valued else {},
        rejected=rejected,
        reasons=explanation.reasons(group, refusal, serving, valued, chosen),
        expires_at=programme.expires_at(action, now),
        matures_at=programme.matures_at(now),
        contact_cost_micros=programme.contact_cost_micros(action),
        fingerprint=request.fingerprint,
        coupon=explanation.coupon(action, request.decision_id, salt=programme.salt),
        redemption_cost_micros=cost.on_redemption_micros,
        redemption_share=cost.share_of_basket,
        promise=explanation.promise(action, programme),
        window_ends_at=programme.window_ends_at(now),
        recommended=recommended(request, customer, serving=serving, ledger=ledger, now=now),
        profile_sources=customer.profile.sources,
    )
    return Proposal(decision, taken=purse.dearest((action.action_id,)), at_stake=purse.dearest(menu.ids))
