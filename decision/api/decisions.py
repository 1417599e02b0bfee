"""`POST /v1/decisions` and `GET /v1/decisions/{id}`."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from decision.api import parsing
from decision.api.auth import open_to
from decision.api.fallback import fallback
from decision.api.gate import CAME
from decision.api.problem import answer
from decision.api.recommendations import recommendations_answer, without_products
from decision.api.schemas import (
    ActionAnswer,
    ActionChance,
    Contribution,
    DecisionAnswer,
    DecisionQuestion,
    DecisionRecord,
    DeliveryAnswer,
    Money,
    Odds,
    ReasonAnswer,
    RejectedAnswer,
    RewardAnswer,
)
from decision.errors import DeadlinePassed, IdempotencyMismatch, InvalidInput, NotFound
from decision.flow.decide import decide, recall
from decision.ids import new_decision_id
from decision.money import from_micros, to_micros
from decision.programme.model import Programme
from decision.programme.section import unknown_name
from decision.records import (
    CONTROL,
    Action,
    Decision,
    DecisionRequest,
    Order,
    Promise,
    Reason,
    Reward,
    action_named,
)
from decision.stages import explanation
from decision.stages.context import check_features
from decision.stages.keys import Role
from decision.stages.withdrawal import TOO_LATE
from decision.watching.seen import seen_in
from decision.wiring import Shop, utc_now

BODY_LIMIT = 64 * 1024
# Reasons of a control that is written down and yet was nobody's choice.
COUNTED = frozenset({Reason.RULE_FAILED.value, Reason.POLICY_MISSING.value})
LATE = "AnsweredLate"
FAULT = "Encore could not decide; nothing was written or promised"
_decoder = msgspec.json.Decoder(DecisionQuestion)
_encoder = msgspec.json.Encoder()


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of decisions."""
    routes = Blueprint("decisions", __name__)

    @routes.post("/v1/decisions")
    @open_to(Role.CHECKOUT)
    def post_decision() -> Response:
        body = parsing.body_of(request, limit=BODY_LIMIT)
        question, header = parsing.decode(body, _decoder), request.headers.get("Idempotency-Key")
        return answer(_asked(question, header, shop=shop, environ=request.environ))

    @routes.get("/v1/decisions/<decision_id>")
    @open_to(Role.ANALYST, Role.MARKETER)
    def get_decision(decision_id: str) -> Response:
        decision = shop.ledger.decision(decision_id)
        if decision is None:
            raise NotFound(f"Expected a decision {decision_id!r}, found none.", hint="Ids are case sensitive.")
        return answer(decision_record(decision, shop))

    return routes


def encoded_answer(body: bytes, header: str | None, *, shop: Shop, environ: dict[str, Any]) -> bytes:
    """Return the answer to a question, both as JSON; `header` is the Idempotency-Key, where there is one.

    Raises
    ------
    msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidInput, IdempotencyMismatch : the caller's mistakes.
    """
    return _encoder.encode(_asked(_decoder.decode(body), header, shop=shop, environ=environ))


def _asked(question: DecisionQuestion, header: str | None, *, shop: Shop, environ: dict[str, Any]) -> DecisionAnswer:
    decision_id = id_of(question, key=parsing.idempotency_key(header), now=utc_now())
    return answered(question, decision_id=decision_id, fingerprint=fingerprint_of(question), shop=shop, environ=environ)


def answered(
    question: DecisionQuestion,
    *,
    decision_id: str,
    fingerprint: str,
    shop: Shop,
    environ: dict[str, Any],
    often: bool = False,
) -> DecisionAnswer:
    """Return the answer to a question: the one it got before under this id, a new one, or control.

    Questions that are asked `often` under one id are looked up first; others when they turn out not to be new.
    Control is answered after a fault, and at the deadline, which counts from when the request of `environ` came.

    Raises
    ------
    InvalidInput, IdempotencyMismatch : the caller's mistakes; no other error leaves this.
    """
    serving, now, until = shop.serving, utc_now(), environ[CAME] + shop.limits.deadline_seconds
    try:
        with shop.ledger.within(until - time.monotonic()):
            decision = recall(decision_id, fingerprint=fingerprint, ledger=shop.ledger) if often else None
            try:
                if decision is None:
                    programme = serving.programme
                    asked = read_question(
                        question, decision_id=decision_id, fingerprint=fingerprint, programme=programme
                    )
                    decision = decide(asked, serving=serving, ledger=shop.ledger, now=now)
            except InvalidInput:
                # A retry is answered as it was the first time, whatever the programme of today says to it.
                decision = recall(decision_id, fingerprint=fingerprint, ledger=shop.ledger)
                if decision is None:
                    raise
            if decision.decided_at == now and (reason := decision.reasons[0][0]) in COUNTED:
                shop.count_fault(reason)
    except (InvalidInput, IdempotencyMismatch):
        raise
    except DeadlinePassed as late:
        shop.count_fault(type(late).__name__)
        seen_in(environ).fell_back(decision_id, late)
        return without_products(question, fallback(decision_id, code=Reason.DEADLINE.value, detail=TOO_LATE, now=now))
    except Exception as fault:
        # The till never waits on us: any fault answers control, and is counted.
        shop.count_fault(type(fault).__name__)
        seen_in(environ).fell_back(decision_id, fault)
        return without_products(question, fallback(decision_id, code=Reason.FAULT.value, detail=FAULT, now=now))
    if time.monotonic() > until:
        # It led others when the disk held it up. It is true, so it is told; that it came late must show.
        shop.count_fault(LATE)
    seen_in(environ).decided(decision, repeated=decision.decided_at != now)
    return decision_answer(decision, serving.programme)


def id_of(question: DecisionQuestion, *, key: str | None, now: datetime) -> str:
    """Return the id of the decision that a question asks for. Raises `InvalidInput` when it names two."""
    if key is not None and question.decision_id is not None:
        raise InvalidInput(
            "Expected a decision_id or an Idempotency-Key, found both.",
            hint="Either alone makes a retry safe.",
            pointer="$.decision_id",
        )
    return question.decision_id or (parsing.id_from_key(key) if key else new_decision_id(now))


def fingerprint_of(question: DecisionQuestion) -> str:
    """Return a hash of a question, whatever the order of its fields."""
    return hashlib.sha256(msgspec.json.encode(question, order="sorted")).hexdigest()


def read_question(
    question: DecisionQuestion, *, decision_id: str, fingerprint: str, programme: Programme
) -> DecisionRequest:
    """Return the request in a question, checked against the programme. Raises `InvalidInput` saying where."""
    programme.check_store(question.store, pointer="$.store")
    facts = question.order
    order = Order(
        order_id=facts.order_id,
        total_micros=_micros(facts.total, programme, "$.order.total"),
        discount_micros=_micros(facts.discount, programme, "$.order.discount") if facts.discount else 0,
        products=facts.products,
        item_count=facts.item_count,
        return_reason=facts.return_reason or None,
    )
    named = question.candidates
    return DecisionRequest(
        decision_id=decision_id,
        customer_id=question.customer_id,
        trigger=question.trigger,
        order=order,
        store=question.store,
        fingerprint=fingerprint,
        features=check_features(question.features, programme.features),
        offers=_named(named.offers if named else None, tuple(programme.offers), "offer"),
        channels=_named(named.channels if named else None, tuple(programme.channels), "channel"),
        consent={channel: question.consent[channel] for channel in _channels(question, programme)},
        recommendations=None if question.recommendations is msgspec.UNSET else question.recommendations,
    )


def _micros(money: Money, programme: Programme, pointer: str) -> int:
    if money.currency != programme.currency:
        raise InvalidInput(
            f"Expected the programme's currency {programme.currency} at {pointer}.currency, found {money.currency}.",
            hint="Convert the amount before sending it.",
            pointer=f"{pointer}.currency",
        )
    return to_micros(money.amount, pointer=f"{pointer}.amount")


def _named(names: tuple[str, ...] | None, known: tuple[str, ...], what: str) -> frozenset[str] | None:
    for place, name in enumerate(names or ()):
        if name not in known:
            raise unknown_name(what, name, known, pointer=f"$.candidates.{what}s[{place}]")
    return None if names is None else frozenset(names)


def _channels(question: DecisionQuestion, programme: Programme) -> list[str]:
    for name in question.consent:
        if name not in programme.channels:
            raise unknown_name("channel", name, tuple(programme.channels), pointer=f"$.consent.{name}")
    return list(question.consent)


def decision_answer(decision: Decision, programme: Programme) -> DecisionAnswer:
    """Return a decision as the checkout reads it: what was promised then, also where the programme says otherwise."""
    action = action_named(decision.action_id)
    # Records that are older than the promise in them have what the programme says now.
    promised = decision.promise or explanation.promise(action, programme)
    return DecisionAnswer(
        decision_id=decision.decision_id,
        action=_action_answer(action, decision.coupon, promised),
        propensity=decision.propensity,
        group=decision.group.value,
        policy_version=decision.policy_version,
        decided_at=decision.decided_at,
        expires_at=decision.expires_at,
        reasons=tuple(ReasonAnswer(code, detail) for code, detail in decision.reasons),
        rejected=tuple(RejectedAnswer(r.action_id, r.reason.value, r.detail) for r in decision.rejected),
        repurchase_odds=Odds(
            with_offer=decision.prediction("repurchase", decision.action_id),
            without_offer=decision.prediction("repurchase", CONTROL),
        ),
        recorded=True,
        recommendations=recommendations_answer(decision.recommended),
    )


def _action_answer(action: Action, coupon: str | None, promised: Promise | None) -> ActionAnswer:
    kind, terms = (promised.kind, dict(promised.terms)) if promised else ("none", {})
    return ActionAnswer(action.action_id, action.offer, action.channel, kind, terms, coupon)


def decision_record(decision: Decision, shop: Shop) -> DecisionRecord:
    """Return a past decision with its distribution, context, reward so far, and what moved it."""
    programme = shop.serving.programme
    return DecisionRecord(
        **msgspec.structs.asdict(decision_answer(decision, programme)),
        customer_id=decision.customer_id,
        trigger=decision.trigger,
        store=decision.store,
        order_id=decision.order_id,
        distribution=tuple(
            ActionChance(
                action_id,
                chance,
                decision.prediction("repurchase", action_id),
                decision.prediction("value", action_id),
            )
            for action_id, chance in zip(decision.allowed, decision.distribution, strict=True)
        ),
        context=dict(decision.context),
        contributions=tuple(
            Contribution(name, decision.context[name], round(effect, 4))
            for name, effect in explanation.contributions(
                decision, programme, shop.champion_of(decision.policy_version)
            )
        ),
        reward=_reward_answer(shop.ledger.reward(decision.decision_id), programme.currency),
        deliveries=tuple(
            DeliveryAnswer(one.endpoint, one.state.value, one.attempts, one.changed_at, one.note)
            for one in shop.ledger.outbox.of(decision.decision_id)
        ),
    )


def _reward_answer(reward: Reward | None, currency: str) -> RewardAnswer | None:
    if reward is None:
        return None
    return RewardAnswer(
        status=reward.status.value,
        visited=reward.visited,
        repurchased=reward.repurchased,
        redeemed=reward.redeemed,
        revenue=from_micros(reward.revenue_micros, currency),
        margin=from_micros(reward.margin_micros, currency),
        cost=from_micros(reward.cost_micros, currency),
        value=from_micros(reward.value_micros, currency),
    )
