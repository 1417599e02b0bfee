"""`GET /v1/customers/{id}`, `GET /v1/segments` and `GET /v1/segments/{name}/customers`: customers, for marketers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta, Struct

from decision.api.auth import open_to
from decision.api.problem import answer
from decision.errors import InvalidInput, NotFound
from decision.ledger.people import KINDS, Member, People
from decision.money import MICROS
from decision.programme.profile import Meaning, profile_meanings
from decision.programme.section import unknown_name
from decision.records import ContextValue, Customer
from decision.segments import SOURCE, Run
from decision.stages.keys import Role
from decision.wiring import Shop

LAST_DECISIONS = 10
PAGE, MOST = 100, 1_000
NDJSON = "application/x-ndjson"
_WHY = "why"
_encoder = msgspec.json.Encoder()


class Consented(Struct, frozen=True):
    """A customer's word on a channel, `*` for all, and since when."""

    given: bool
    at: datetime


class Known(Struct, frozen=True):
    """What the ledger knows of a customer; revenue after refunds, in the programme's currency."""

    orders: int
    returns: int
    revenue: float
    currency: str
    first_order_at: datetime | None
    last_order_at: datetime | None
    consent: dict[str, Consented]


class Value(Struct, frozen=True, omit_defaults=True):
    """A value, with its interval where there is one, its unit, and what it says; `null` says why there may be none."""

    value: str | float | None
    unit: str
    meaning: str
    low: str | float | None = None
    high: str | float | None = None
    null: str = ""


class Worked(Struct, frozen=True):
    """When values were worked out: of what was known before `as_of`, by definitions or models of `version`."""

    source: str
    as_of: datetime
    version: str


class Belongs(Struct, frozen=True):
    """A segment that a customer is in, what it means, and who belongs to it."""

    kind: str
    name: str
    meaning: str
    rule: str


class DecisionMade(Struct, frozen=True):
    """A decision; /v1/decisions/{decision_id} tells more."""

    decision_id: str
    decided_at: datetime
    action_id: str


class CustomerAnswer(Struct, frozen=True):
    """What is known and foretold of a customer."""

    customer_id: str
    known: Known
    worked_out: tuple[Worked, ...]
    predictions: dict[str, Value]
    features: dict[str, Value]
    segments: tuple[Belongs, ...]
    why: Annotated[tuple[str, ...], Meta(description="What moves her chance of a purchase most, strongest first")]
    not_enough_data: Annotated[dict[str, str], Meta(description="Models with too little data: the rule used instead")]
    decisions: tuple[DecisionMade, ...]


class MemberAnswer(Struct, frozen=True):
    """A customer of a segment, with her predictions."""

    customer_id: str
    predictions: dict[str, str | float | None]


class MembersAnswer(Struct, frozen=True):
    """A page of a segment's customers, by id; `next` is `after` of the next page, null on the last."""

    segment: str
    customers: tuple[MemberAnswer, ...]
    next: str | None


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of customers as the shop's people look at them."""
    routes = Blueprint("people", __name__)

    @routes.get("/v1/customers/<customer_id>")
    @open_to(Role.ANALYST, Role.MARKETER)
    def get_customer(customer_id: str) -> Response:
        return answer(_customer(shop, customer_id))

    @routes.get("/v1/segments")
    @open_to(Role.ANALYST, Role.MARKETER)
    def get_segments() -> Response:
        return answer(_run(shop.ledger.people))

    @routes.get("/v1/segments/<name>/customers")
    @open_to(Role.ANALYST, Role.MARKETER)
    def get_members(name: str) -> Response:
        people = shop.ledger.people
        kind, after = _kind(_run(people), name), request.args.get("after", "")
        if NDJSON in request.accept_mimetypes.values() or request.args.get("format") == "ndjson":
            return Response(_lines(people, kind, name, after), mimetype=NDJSON)
        limit = _limit(request.args.get("limit"))
        # One more says whether there is a next page.
        found = people.members(kind, name, after=after, limit=limit + 1)
        page = found[:limit]
        return answer(
            MembersAnswer(name, tuple(map(_member, page)), page[-1].customer_id if len(found) > limit else None)
        )

    return routes


def _run(people: People) -> Run:
    run = people.run()
    if run is None:
        raise NotFound(
            "Expected predictions of everybody, found none.",
            hint="`encore customers train` and `encore customers score` make them.",
        )
    return run


def _kind(run: Run, name: str) -> str:
    for segment in run.segments:
        if segment.name == name:
            return segment.kind
    wrong = unknown_name("segment", name, tuple(s.name for s in run.segments), pointer="name")
    raise NotFound(wrong.message, hint="GET /v1/segments lists them.")


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise InvalidInput(f"Expected a limit of 1 to {MOST}, found {text!r}.", pointer="limit")
    return int(text)


def _member(member: Member) -> MemberAnswer:
    return MemberAnswer(member.customer_id, dict(member.values))


def _lines(people: People, kind: str, name: str, after: str) -> Iterator[bytes]:
    while page := people.members(kind, name, after=after, limit=MOST):
        yield b"".join(_encoder.encode(_member(one)) + b"\n" for one in page)
        after = page[-1].customer_id


def _customer(shop: Shop, customer_id: str) -> CustomerAnswer:
    ledger, programme = shop.ledger, shop.serving.programme
    known, profile = ledger.customer(customer_id), ledger.profiles.of(customer_id)
    made = ledger.people.last_decisions(customer_id, limit=LAST_DECISIONS)
    if not (known.orders or known.consent or profile.sources or made):
        raise NotFound(
            f"Expected a customer that the ledger knows, found {customer_id!r}.", hint="Ids are those of events."
        )
    run = ledger.people.run()
    sources = {source.name for source in profile.sources}
    is_predicted = SOURCE in sources
    by_source: dict[str, dict[str, Value]] = {}
    for name, meaning in profile_meanings(tuple(programme.channels)).items():
        if meaning.source in sources and name != _WHY:
            by_source.setdefault(meaning.source, {})[name] = _value(name, meaning, profile.values)
    why = profile.values.get(_WHY)
    return CustomerAnswer(
        customer_id=customer_id,
        known=_known(known, programme.currency),
        worked_out=tuple(Worked(source.name, source.as_of, source.version) for source in profile.sources),
        predictions=_with_intervals(by_source.pop(SOURCE, {})),
        features={name: value for values in by_source.values() for name, value in values.items()},
        segments=_segments(run, profile.values) if is_predicted else (),
        why=tuple(why.split("\n")) if isinstance(why, str) and why else (),
        not_enough_data={v.model: f"{v.why} Used instead: {v.rule}." for v in run.verdicts if not v.enough}
        if run and is_predicted
        else {},
        decisions=tuple(DecisionMade(*one) for one in made),
    )


def _known(customer: Customer, currency: str) -> Known:
    return Known(
        orders=customer.orders,
        returns=customer.returns,
        revenue=customer.revenue_micros / MICROS,
        currency=currency,
        first_order_at=customer.first_order_at,
        last_order_at=customer.last_order_at,
        consent={channel: Consented(word.given, word.at) for channel, word in customer.consent.items()},
    )


def _value(name: str, meaning: Meaning, values: Mapping[str, ContextValue]) -> Value:
    return Value(values.get(name), meaning.unit, meaning.description, null=meaning.null)


def _with_intervals(values: dict[str, Value]) -> dict[str, Value]:
    """Return predictions with their intervals in them, which are values of their own in rules."""
    found = {}
    for name, value in values.items():
        low, high = values.get(f"{name}_low"), values.get(f"{name}_high")
        if low is not None and high is not None:
            found[name] = msgspec.structs.replace(value, low=low.value, high=high.value)
        elif name.removesuffix("_low").removesuffix("_high") not in values or not name.endswith(("_low", "_high")):
            found[name] = value
    return found


def _segments(run: Run | None, values: Mapping[str, ContextValue]) -> tuple[Belongs, ...]:
    hers = {kind: values.get(kind) for kind in KINDS}
    return tuple(
        Belongs(s.kind, s.name, s.meaning, s.rule) for s in (run.segments if run else ()) if hers.get(s.kind) == s.name
    )
