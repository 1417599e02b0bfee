"""`/openapi.json`, built from the same records that validate, and `/docs`, a page to read it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, render_template

from decision import __version__
from decision.api import event_catalogue
from decision.api.auth import access_of, open_to
from decision.api.compat.ofrep import FLAGS, OfrepEvaluation, OfrepEvaluations, OfrepRequest
from decision.api.compat.personalizer import RankAnswer, RankQuestion, RewardValue
from decision.api.compat.segment import SegmentBatch, SegmentReceipt
from decision.api.compat.segment_reading import SegmentMessage
from decision.api.events import EventBatch
from decision.api.experiments import ExperimentsAnswer
from decision.api.people import MOST, NDJSON, CustomerAnswer, MembersAnswer
from decision.api.problem import answer
from decision.api.schemas import DecisionAnswer, DecisionQuestion, DecisionRecord, EventReceipt, PolicyAnswer, Problem
from decision.api.webhook import DECISION_MADE, TEST, Message
from decision.event import Event
from decision.flow.receive import DeliveryReceipt
from decision.results import AnalysisResult
from decision.segments import Run
from decision.stages.keys import Role
from decision.wiring import Shop

_COMPONENTS = (
    AnalysisResult,
    DecisionQuestion,
    DecisionAnswer,
    DecisionRecord,
    CustomerAnswer,
    Event,
    EventBatch,
    EventReceipt,
    ExperimentsAnswer,
    MembersAnswer,
    OfrepEvaluation,
    OfrepEvaluations,
    OfrepRequest,
    PolicyAnswer,
    Problem,
    RankAnswer,
    RankQuestion,
    RewardValue,
    Run,
    SegmentBatch,
    SegmentMessage,
    SegmentReceipt,
    DeliveryReceipt,
    Message,
)
_CALL = {
    "event": "Order Completed",
    "userId": "C-1001",
    "messageId": "m-1",
    "timestamp": "2026-11-20T10:00:00Z",
    "properties": {"order_id": "O-2", "revenue": "42.00", "currency": "EUR", "affiliation": "hamburg"},
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `encore keys create`"},
    "basic": {"type": "http", "scheme": "basic", "description": "The same key as user name; the password is ignored"},
}
_QUESTION = {
    "decision_id": "demo-1",
    "customer_id": "C-1001",
    "trigger": "purchase",
    "order": {"order_id": "O-1", "total": {"amount": "59.90", "currency": "EUR"}, "item_count": 2},
}


_TRIAL = {"type": TEST, "timestamp": "2026-11-20T10:00:00Z", "data": None}
_MESSAGE = {
    "type": DECISION_MADE,
    "timestamp": "2026-11-20T10:00:00Z",
    "data": {
        "decision_id": "till-7-4711",
        "customer_id": "C-1001",
        "trigger": "purchase",
        "store": "hamburg",
        "order_id": "O-1",
        "action": {
            "action_id": "discount_10@email",
            "offer": "discount_10",
            "channel": "email",
            "kind": "percent_discount",
            "terms": {"percent": 10},
            "coupon": "K7Q2M9XA",
        },
        "expires_at": "2026-12-18T10:00:00Z",
    },
}


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of the description."""
    routes = Blueprint("openapi", __name__, template_folder="templates")

    @cache
    def described() -> dict[str, Any]:
        # Once all rooms are there, so that it says what is enforced.
        return secured(document(), current_app)

    @routes.get("/openapi.json")
    @open_to(*Role)
    def get_openapi() -> Response:
        return answer(described())

    @routes.get("/docs")
    @open_to(*Role)
    def get_docs() -> str:
        return render_template(
            "docs.html", api=described(), programme=shop.serving.programme, dumps=_pretty, events=event_catalogue
        )

    return routes


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of the service."""
    _, components = msgspec.json.schema_components(_COMPONENTS, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Encore",
            "version": __version__,
            "description": "Which incentive, through which channel, for this customer, after a purchase or return.",
        },
        "paths": {
            "/v1/decisions": {"post": _post_decision()},
            "/v1/decisions/{decision_id}": {"get": _get_decision()},
            "/v1/events": {"post": _post_events()},
            "/v1/customers/{customer_id}": {
                "get": _customer("What is known and foretold of somebody, and why", "getCustomer", "CustomerAnswer"),
                "delete": _customer("Forget somebody; figures stay", "forgetCustomer"),
            },
            "/v1/customers/{customer_id}/export": {
                "get": _customer("Everything that is held about somebody", "exportCustomer")
            },
            "/v1/segments": {
                "get": _get("Segments: their size, what they mean, who moved", "getSegments", "Run", (404, 503))
            },
            "/v1/segments/{name}/customers": {"get": _members()},
            "/v1/experiments": {
                "get": _get("What A/B analyses found, in short", "getExperiments", "ExperimentsAnswer", (503,))
            },
            "/v1/experiments/{experiment_id}": {"get": _experiment()},
            "/v1/policy": {"get": _get("What serves now", "getPolicy", "PolicyAnswer")},
            "/v1/batch": {"post": _segment("postBatch", "SegmentBatch", {"batch": [{"type": "track"} | _CALL]})},
            "/v1/track": {"post": _segment("postTrack", "SegmentMessage", _CALL)},
            "/v1/identify": {
                "post": _segment(
                    "postIdentify", "SegmentMessage", {"userId": "C-1001", "traits": {"consent": {"email": True}}}
                )
            },
            "/v1/webhooks/shopify": {
                "post": _webhook("Shopify", "postShopify", ("X-Shopify-Hmac-Sha256", "X-Shopify-Topic"))
            },
            "/v1/webhooks/woocommerce": {
                "post": _webhook("WooCommerce", "postWoocommerce", ("X-WC-Webhook-Signature", "X-WC-Webhook-Topic"))
            },
            "/ofrep/v1/evaluate/flags/{key}": {"post": _flag()},
            "/ofrep/v1/evaluate/flags": {"post": _all_flags()},
            "/personalizer/v1.0/rank": {"post": _post_rank()},
            "/personalizer/v1.0/events/{event_id}/reward": {"post": _event("postReward", {"value": 1.0})},
            "/personalizer/v1.0/events/{event_id}/activate": {"post": _event("postActivate")},
            "/livez": {"get": _get("Is the process up?", "livez")},
            "/readyz": {"get": _get("Can it decide?", "readyz", problems=(503,))},
        },
        "webhooks": {
            DECISION_MADE: {"post": _told("A decision that another system delivers", "decisionMade", _MESSAGE)},
            TEST: {"post": _told("A trial of `encore webhooks test`", "encoreTest", _TRIAL)},
        },
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def secured(described: dict[str, Any], app: Flask) -> dict[str, Any]:
    """Return a description with what each of the app's routes asks of a key, and that any may be shed."""
    paths = dict(described["paths"])
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<", "{").replace(">", "}")
        access, calls = access_of(app, rule.endpoint), paths.get(path, {})
        for verb in {method.lower() for method in rule.methods or ()} & calls.keys():
            call = calls[verb]
            asked: dict[str, Any] = {"security": []}
            if not access.keyless:
                asked = {
                    "security": [{name: []} for name in _SCHEMES],
                    "x-roles": [role.value for role in access.roles],
                    "responses": call["responses"] | _problems((401, 403, 503)),
                }
            paths[path] = paths[path] | {verb: call | asked}
    return described | {"paths": paths}


def _post_decision() -> dict[str, Any]:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Makes a retry safe: the same key gives the same answer. Use it or `decision_id`, not both.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    }
    return {
        "summary": "Decide what to give a customer now",
        "operationId": "postDecision",
        "parameters": [key],
        "requestBody": _body({"$ref": "#/components/schemas/DecisionQuestion"}, _QUESTION),
        "responses": _responses("DecisionAnswer", (400, 413, 415, 422)),
    }


def _get_decision() -> dict[str, Any]:
    found = _get("A past decision, with the whole distribution and why", "getDecision", "DecisionRecord", (404, 503))
    found["parameters"] = [{"name": "decision_id", "in": "path", "required": True, "schema": {"type": "string"}}]
    return found


def _members() -> dict[str, Any]:
    found = _get("The customers of a segment, page by page", "getMembers", "MembersAnswer", (404, 422, 503))
    found["responses"]["200"]["content"][NDJSON] = {"schema": {"type": "string"}}
    found["description"] = f"With `Accept: {NDJSON}`, or `format=ndjson`, all of them, a customer a line."
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("name", "path", {"type": "string"}),
        ("after", "query", {"type": "string"}),
        ("limit", "query", {"type": "integer", "minimum": 1, "maximum": MOST}),
        ("format", "query", {"type": "string", "enum": ["json", "ndjson"]}),
    )
    found["parameters"] = [
        {"name": name, "in": place, "required": place == "path", "schema": schema} for name, place, schema in asked
    ]
    return found


def _experiment() -> dict[str, Any]:
    found = _get("An analysis, as encore ab analyse --json prints it", "getExperiment", "AnalysisResult", (404, 503))
    found["description"] = "The id programme is Encore itself, against its holdout."
    found["parameters"] = [{"name": "experiment_id", "in": "path", "required": True, "schema": {"type": "string"}}]
    return found


def _customer(summary: str, name: str, schema: str | None = None) -> dict[str, Any]:
    found = _get(summary, name, schema, problems=(404, 503))
    found["parameters"] = [{"name": "customer_id", "in": "path", "required": True, "schema": {"type": "string"}}]
    return found


def _post_events() -> dict[str, Any]:
    either = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Event", "EventBatch")]}
    return {
        "summary": "Tell what happened: one event or a batch",
        "description": event_catalogue.described(),
        "operationId": "postEvents",
        "requestBody": _body(either, event_catalogue.EXAMPLES["order"]),
        "responses": _responses("EventReceipt", (400, 413, 415, 422, 503)),
    }


def _segment(name: str, schema: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": "What a Segment client sends",
        "operationId": name,
        "requestBody": _body({"$ref": f"#/components/schemas/{schema}"}, example),
        "responses": _responses("SegmentReceipt", (400, 413, 415, 422, 503)),
    }


def _webhook(platform: str, name: str, headers: tuple[str, ...]) -> dict[str, Any]:
    sent = [{"name": header, "in": "header", "required": False, "schema": {"type": "string"}} for header in headers]
    return {
        "summary": f"What {platform} delivers, signed with the secret that it shares with Encore",
        "operationId": name,
        "parameters": sent,
        "requestBody": _body({"type": "object"}, {"id": 1}),
        "responses": _responses("DeliveryReceipt", (401, 413, 415, 503)),
    }


def _told(summary: str, name: str, example: dict[str, Any]) -> dict[str, Any]:
    """Return a message of Encore's to an endpoint of `encore webhooks add`, as Standard Webhooks."""
    headers = {
        "webhook-id": "The same at every attempt: the same message may come twice",
        "webhook-timestamp": "When it was sent, in seconds since 1970",
        "webhook-signature": "Signatures over id, timestamp and body with the endpoint's secrets, as Standard Webhooks",
    }
    return {
        "summary": summary,
        "operationId": name,
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": meaning, "schema": {"type": "string"}}
            for header, meaning in headers.items()
        ],
        "requestBody": _body({"$ref": "#/components/schemas/Message"}, example),
        "security": [],
        "responses": {
            "2XX": {"description": "Taken"},
            "410": {"description": "The endpoint is gone for good, and is told nothing more"},
            "default": {"description": "Not taken: it is sent again later, and Retry-After is heeded"},
        },
    }


def _flags(name: str, schema: str, problems: tuple[int, ...]) -> dict[str, Any]:
    order = {"order_id": "O-1", "total": {"amount": "59.90", "currency": "EUR"}}
    return {
        "summary": "What an OpenFeature client asks (OFREP)",
        "operationId": name,
        "requestBody": _body(
            {"$ref": "#/components/schemas/OfrepRequest"}, {"context": {"targetingKey": "C-1001", "order": order}}
        ),
        "responses": _responses(schema, problems),
    }


def _flag() -> dict[str, Any]:
    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string", "examples": list(FLAGS)}}
    return _flags("postFlag", "OfrepEvaluation", (400, 404, 413, 415)) | {"parameters": [key]}


def _all_flags() -> dict[str, Any]:
    call = _flags("postFlags", "OfrepEvaluations", (400, 413, 415))
    call["responses"]["304"] = {"description": "Nothing new since the answer with the ETag in If-None-Match"}
    return call


def _post_rank() -> dict[str, Any]:
    example = {"contextFeatures": [{"time": "morning"}], "actions": [{"id": "tea"}, {"id": "coffee"}]}
    answered = _responses("RankAnswer", (400, 413, 415))
    return {
        "summary": "What a client of Azure AI Personalizer asks: which of these actions?",
        "operationId": "postRank",
        "requestBody": _body({"$ref": "#/components/schemas/RankQuestion"}, example),
        "responses": {"201": answered.pop("200")} | answered,
    }


def _event(name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    event = {"name": "event_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 256}}
    done = {"204": {"description": "Noted; an event that nobody knows is counted in /readyz"}}
    call = {
        "summary": "What a client of Azure AI Personalizer tells of an event",
        "operationId": name,
        "parameters": [event],
        "responses": done | _problems((400, 413, 415, 503) if body else (400, 503)),
    }
    return call | ({"requestBody": _body({"$ref": "#/components/schemas/RewardValue"}, body)} if body else {})


def _get(summary: str, name: str, schema: str | None = None, problems: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"summary": summary, "operationId": name, "responses": _responses(schema, problems)}


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _responses(schema: str | None, problems: tuple[int, ...]) -> dict[str, Any]:
    content = {"$ref": f"#/components/schemas/{schema}"} if schema else {"type": "object"}
    ok = {"description": "OK", "content": {"application/json": {"schema": content}}}
    return {"200": ok} | _problems(problems)


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": "A problem (RFC 9457)", "content": content} for status in statuses}


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
