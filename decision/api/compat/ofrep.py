"""OpenFeature's remote evaluation protocol (OFREP): a decision as the value of a flag.

Flags are evaluated again and again; a decision reserves a budget and counts as a treatment. So all flags of an order
show one decision: the first evaluation makes it, and later ones read it, whatever else the context says by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from decision.api import parsing
from decision.api.auth import open_to
from decision.api.compat.extended import extend_problems
from decision.api.decisions import BODY_LIMIT, answered
from decision.api.problem import answer
from decision.api.schemas import DecisionAnswer, DecisionQuestion, Problem
from decision.errors import InvalidInput, NotFound
from decision.records import CONTROL, Reason
from decision.stages.keys import Role
from decision.wiring import Shop

TARGETING_KEY = "$.context.targetingKey"
_NAMED = ("trigger", "order", "store", "candidates", "consent", "decision_id")
# Where chance decided, by the customer's group or by the policy's distribution. Elsewhere control was all there is.
_DRAWN = frozenset(
    {Reason.HOLDOUT, Reason.RANDOM, Reason.BUSINESS_AS_USUAL, Reason.HIGHEST_VALUE, Reason.EXPLORED, Reason.NO_POLICY}
)
_CODES = MappingProxyType({"bad-json": "PARSE_ERROR", "not-found": "FLAG_NOT_FOUND"})


class OfrepRequest(msgspec.Struct, frozen=True):
    """An evaluation context: `targetingKey` is the customer, other attributes are named as in `/v1/decisions`.

    Facts that `programme.toml` declares under `[features]` may stand beside them. What is not known is left aside.
    """

    context: dict[str, Any] = {}


class OfrepEvaluation(msgspec.Struct, frozen=True):
    """The value of a flag; `variant` is the action, `metadata` says which decision it shows."""

    key: str
    value: bool | str | dict[str, Any]
    reason: str
    variant: str
    metadata: dict[str, str | float | bool]


class OfrepEvaluations(msgspec.Struct, frozen=True):
    """All flags of a context."""

    flags: tuple[OfrepEvaluation, ...]


def _terms(decision: DecisionAnswer) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(decision.action)
    return found


FLAGS: Mapping[str, Callable[[DecisionAnswer], bool | str | dict[str, Any]]] = MappingProxyType(
    {
        "encore.action": lambda decision: decision.action.action_id,
        "encore.incentive": lambda decision: decision.action.action_id != CONTROL,
        "encore.offer": _terms,
    }
)
_decoder = msgspec.json.Decoder(OfrepRequest)
_question = msgspec.json.Decoder(DecisionQuestion)


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of OFREP."""
    routes = Blueprint("ofrep", __name__)
    extend_problems(routes, _failure)

    @routes.post("/ofrep/v1/evaluate/flags/<key>")
    @open_to(Role.CHECKOUT)
    def post_flag(key: str) -> Response:
        if key not in FLAGS:
            raise NotFound(f"Expected one of the flags {', '.join(FLAGS)}, found {key!r}.")
        return answer(evaluation(key, _decided(shop)))

    @routes.post("/ofrep/v1/evaluate/flags")
    @open_to(Role.CHECKOUT)
    def post_flags() -> Response:
        decision = _decided(shop)
        response = answer(OfrepEvaluations(tuple(evaluation(key, decision) for key in FLAGS)))
        # A decision that stays the same is not sent twice; Werkzeug's own check is for GET alone.
        response.add_etag()
        etag, _ = response.get_etag()
        if etag and request.if_none_match.contains(etag):
            response.set_data(b"")
            response.status_code = 304
        return response

    return routes


def _decided(shop: Shop) -> DecisionAnswer:
    asked = parsing.decode(parsing.body_of(request, limit=BODY_LIMIT), _decoder)
    question = question_in(asked.context, features=tuple(shop.serving.programme.features))
    named = (question.customer_id, question.trigger, question.order.order_id)
    # Of the context only what names the decision: the rest may change while it stands.
    fingerprint = hashlib.sha256(msgspec.json.encode(("ofrep", *named))).hexdigest()
    decision_id = question.decision_id or parsing.id_from_key(fingerprint)
    return answered(
        question, decision_id=decision_id, fingerprint=fingerprint, shop=shop, environ=request.environ, often=True
    )


def question_in(context: Mapping[str, Any], *, features: tuple[str, ...]) -> DecisionQuestion:
    """Return the question in an evaluation context. Raises `InvalidInput` saying where."""
    customer = context.get("targetingKey")
    if not isinstance(customer, str) or not 0 < len(customer) <= 200:
        raise InvalidInput(
            f"Expected the customer at {TARGETING_KEY}, a text of 1 to 200 characters, found {str(customer)[:200]!r}.",
            hint="Set the targeting key of the evaluation context.",
            pointer=TARGETING_KEY,
        )
    own = context.get("features", {})
    if not isinstance(own, dict):
        raise InvalidInput("Expected names and facts at $.context.features.", pointer="$.context.features")
    facts = {name: context[name] for name in features if name in context and name not in _NAMED} | own
    given = {name: context[name] for name in _NAMED if context.get(name) is not None}
    body = {"customer_id": customer, "trigger": "purchase", "features": facts} | given
    try:
        told = msgspec.json.encode(body)
    except RecursionError:
        raise InvalidInput("Expected less deeply nested facts at $.context.", pointer="$.context") from None
    return parsing.decode(told, _question, root="$.context")


def evaluation(key: str, decision: DecisionAnswer) -> OfrepEvaluation:
    """Return a decision as the value of the flag `key`."""
    code = decision.reasons[0].code
    metadata: dict[str, str | float | bool | None] = {
        "decision_id": decision.decision_id,
        "propensity": decision.propensity,
        "group": decision.group,
        "policy_version": decision.policy_version,
        "recorded": decision.recorded,
        "code": code,
        "coupon": decision.action.coupon,
        "expires_at": decision.expires_at.isoformat() if decision.expires_at else None,
    }
    return OfrepEvaluation(
        key=key,
        value=FLAGS[key](decision),
        reason="SPLIT" if code in _DRAWN else "DEFAULT",
        variant=decision.action.action_id,
        metadata={name: fact for name, fact in metadata.items() if fact is not None},
    )


def _failure(problem: Problem) -> dict[str, Any]:
    kind = problem.type.rpartition(":")[2]
    code = "INVALID_CONTEXT" if problem.status == 400 else "GENERAL"
    if problem.pointer == TARGETING_KEY:
        code = "TARGETING_KEY_MISSING"
    found = {"errorCode": _CODES.get(kind, code), "errorDetails": f"{problem.detail} {problem.hint}".strip()}
    key = (request.view_args or {}).get("key")
    return found | ({} if key is None else {"key": key})
