"""The columns of an export, each with its type and meaning; the files and their README.txt both follow them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from decision.programme.model import Programme


class Kind(StrEnum):
    """What a column holds. Money is whole micros, a millionth of the currency unit, so that sums stay exact."""

    TEXT = "text"
    JSON = "JSON text"
    WHOLE = "whole number"
    NUMBER = "number"
    FLAG = "true or false"
    TIME = "time in UTC"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Empty means unknown or not applicable."""

    name: str
    kind: Kind
    about: str


CONTEXT = "context."

DECISIONS = (
    Column("seq", Kind.WHOLE, "order of writing"),
    Column("decision_id", Kind.TEXT, "key of this table"),
    Column("customer_id", Kind.TEXT, "what is randomised"),
    Column("decided_at", Kind.TIME, "when"),
    Column("matures_at", Kind.TIME, "when its reward is final"),
    Column("group", Kind.TEXT, "measurement group: holdout, random, business_as_usual or policy"),
    Column(
        "held_out", Kind.FLAG, "whether the customer is of the evaluation set: never trained on, judges every policy"
    ),
    Column("action_id", Kind.TEXT, "what was done: control or offer@channel"),
    Column("propensity", Kind.NUMBER, "probability the logging policy gave to action_id, given context and allowed"),
    Column("policy_version", Kind.TEXT, "what decided; trial:<name> for a row of an imported trial"),
    Column("allowed", Kind.JSON, "list of the actions that were allowed, control first"),
    Column("distribution", Kind.JSON, "list of their probabilities, in the order of allowed"),
    Column("predictions", Kind.JSON, "what was predicted for each, in the order of allowed; {} where nothing was"),
    Column("rejected", Kind.JSON, "list of [action_id, reason, detail]: what guardrails removed"),
    Column("reasons", Kind.JSON, "list of [code, sentence]: why this answer"),
    Column("trigger", Kind.TEXT, "why a decision was made then: purchase or return"),
    Column("store", Kind.TEXT, "the store asked for"),
    Column("order_id", Kind.TEXT, "the order that triggered it; it never counts towards the reward"),
    Column("expires_at", Kind.TIME, "until when the offer is valid"),
    Column("contact_cost_micros", Kind.WHOLE, "cost of making contact"),
    Column("coupon", Kind.TEXT, "code that ties a redemption to the decision; none for control and plain messages"),
    Column("fingerprint", Kind.TEXT, "hash of the request"),
    Column(
        "profile_sources", Kind.TEXT, "where profile values in the context are from: [source, as of, version]; JSON"
    ),
)
PROPENSITIES = (
    Column("decision_id", Kind.TEXT, "the decision; one row for every allowed action"),
    Column("action_id", Kind.TEXT, "an allowed action"),
    Column("probability", Kind.NUMBER, "what the logging policy gave it; sums to 1 over a decision"),
    Column("repurchase", Kind.NUMBER, "predicted odds of a repurchase under it"),
    Column("value", Kind.NUMBER, "predicted value under it, in currency units"),
)
OUTCOMES = (
    Column("seq", Kind.WHOLE, "order of writing"),
    Column("message_id", Kind.TEXT, "key of this table"),
    Column("name", Kind.TEXT, "Segment's name of the event"),
    Column("customer_id", Kind.TEXT, "who"),
    Column("occurred_at", Kind.TIME, "when it happened"),
    Column("received_at", Kind.TIME, "when Encore learned of it"),
    Column("properties", Kind.JSON, "facts of the event; amounts in micros, such as revenue_micros"),
)
REWARDS = (
    Column("seq", Kind.WHOLE, "order of writing: key of this table"),
    Column("decision_id", Kind.TEXT, "the decision; each revision of its reward is a row"),
    Column("latest", Kind.FLAG, "whether this is the last word; exactly one row of a decision is"),
    Column("status", Kind.TEXT, "provisional until window and refund time are over, then final"),
    Column("visited", Kind.FLAG, "came back inside the attribution window"),
    Column("repurchased", Kind.FLAG, "has an order inside it that was not refunded in full"),
    Column("redeemed", Kind.FLAG, "used the offer"),
    Column("revenue_micros", Kind.WHOLE, "net of refunds, before discounts"),
    Column("margin_micros", Kind.WHOLE, "margin on that revenue"),
    Column("cost_micros", Kind.WHOLE, "cost of contact and redemption"),
    Column("value_micros", Kind.WHOLE, "the reward: worth under the store's goal, minus cost"),
    Column("computed_at", Kind.TIME, "when it was computed"),
    Column("first_order_at", Kind.TIME, "when the first order that counts was placed, where that is known"),
)
_TEXTS = ("trigger", "store", "region")


def context_columns(kinds: Mapping[str, type | None], programme: Programme) -> tuple[Column, ...]:
    """Return a column for each fact of the contexts; `kinds` maps a fact to the type found, None where never known."""
    return tuple(_context_column(name, found, programme) for name, found in kinds.items())


def _context_column(name: str, found: type | None, programme: Programme) -> Column:
    feature = programme.features.get(name)
    category = name in _TEXTS or (feature is not None and feature.kind == "category")
    is_text = found is str or (found is None and category)
    about = "a feature that the caller sent" if feature else "what was known when the decision was made"
    return Column(CONTEXT + name, Kind.TEXT if is_text else Kind.NUMBER, about)
