"""Builders for tests of the online service: a small programme, requests, decisions, outcomes and policy bundles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import numpy as np
from flask.testing import FlaskClient
from msgspec import structs

from decision.api.app import create_app
from decision.bundle.manifest import FORMAT, Manifest, Provenance
from decision.bundle.store import Bundle, BundleStore
from decision.flow.keys import create_key
from decision.ledger.base import Ledger
from decision.money import MICROS
from decision.policies.action_features import PriorScales
from decision.policies.posterior import Posterior
from decision.programme.model import Budget, Programme
from decision.programme.read import parse_programme
from decision.records import CONTROL, Decision, DecisionRequest, Group, Order, Outcome, action_named
from decision.serving import action_features, posterior_arrays
from decision.stages import explanation
from decision.stages.context import Column, Encoder
from decision.stages.groups import assign
from decision.stages.keys import Role
from decision.wiring import Shop

# A Wednesday at 13:00 in Berlin.
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)

PROGRAMME = """\
[programme]
name = "Test shop"
currency = "EUR"
timezone = "Europe/Berlin"
salt = "pepper"
attribution_window_days = 28
refund_window_days = 14
gross_margin = 0.40
exploration_floor = 0.01

[business_as_usual]
purchase = "discount@on_page"
return = "shipping@email"

[channels.on_page]

[channels.email]
contact_cost = "0.02"
consent_required = true

[channels.sms]
contact_cost = "0.09"
consent_required = true
quiet_hours = "21:00-08:00"

[offers.thanks]
kind = "none"
channels = ["email"]

[offers.discount]
kind = "percent_discount"
percent = 10
channels = ["on_page", "email", "sms"]
cost.share_of_basket = 0.10

[offers.shipping]
kind = "free_shipping"
channels = ["email"]
cost.on_redemption = "4.90"

[regions.north.goal]
loyalty = 2.0

[stores.online]

[stores.hamburg]
region = "north"

[features.age]
type = "number"

[features.tier]
type = "category"
"""

ACTIONS = (CONTROL, "thanks@email", "discount@on_page", "discount@email", "discount@sms", "shipping@email")
EVERYBODY = {
    group: {g: float(g is group) for g in Group} for group in Group
}  # shares that put every customer into one group


def programme(edit: Mapping[str, str] | None = None, /, *, add: str = "", **changes: Any) -> Programme:
    """Return the test programme with texts replaced, text added, and fields of the record changed."""
    text = PROGRAMME
    for old, new in (edit or {}).items():
        assert old in text, old
        text = text.replace(old, new, 1)
    return replace(parse_programme(text + add), **changes)


def only(group: Group, **changes: Any) -> Programme:
    """Return the test programme with all customers in one measurement group."""
    return programme(shares=EVERYBODY[group], **changes)


def budget(name: str = "b", **changes: Any) -> Budget:
    """Return a budget of nothing in particular over the whole programme."""
    blank = Budget(name=name, offer=None, store=None, period="programme", amount_micros=None, count=None)
    return replace(blank, **changes)


def micros(amount: float) -> int:
    """Return an amount in micros."""
    return round(amount * MICROS)


def order(order_id: str = "o-1", total: float = 60.0, **changes: Any) -> Order:
    return structs.replace(Order(order_id=order_id, total_micros=micros(total)), **changes)


def asked(decision_id: str = "d-1", customer_id: str = "c-1", **changes: Any) -> DecisionRequest:
    """Return a request of a customer who may be reached through every channel."""
    blank = DecisionRequest(
        decision_id=decision_id,
        customer_id=customer_id,
        trigger="purchase",
        order=order(),
        store=None,
        fingerprint="body",
        consent={"email": True, "sms": True},
    )
    return structs.replace(blank, **changes)


def decided(action_id: str = "discount@on_page", *, at: datetime = NOW, **changes: Any) -> Decision:
    """Return a decision as the service would have written it at `at`, with a coupon unless it is control."""
    shop = changes.pop("programme", None) or programme()
    action = action_named(action_id)
    cost = shop.cost_of(action)
    allowed = (CONTROL,) if action.is_control else (CONTROL, action_id)
    blank = Decision(
        decision_id="d-1",
        customer_id="c-1",
        trigger="purchase",
        store=None,
        order_id="o-1",
        decided_at=at,
        group=Group.RANDOM,
        action_id=action_id,
        propensity=1 / len(allowed),
        policy_version="business_as_usual",
        allowed=allowed,
        distribution=tuple(1 / len(allowed) for _ in allowed),
        context={},
        predictions={},
        rejected=(),
        reasons=(),
        expires_at=shop.expires_at(action, at),
        matures_at=shop.matures_at(at),
        contact_cost_micros=shop.contact_cost_micros(action),
        fingerprint="body",
        coupon=None if action.is_control else "COUPON",
        redemption_cost_micros=cost.on_redemption_micros,
        redemption_share=cost.share_of_basket,
        promise=explanation.promise(action, shop),
        window_ends_at=shop.window_ends_at(at),
    )
    return structs.replace(blank, **changes)


_message = count()


def outcome(name: str, at: datetime, /, *, customer_id: str = "c-1", message_id: str = "", **facts: Any) -> Outcome:
    """Return an outcome as the ledger keeps it; amounts are given in currency units and kept in micros."""
    money = {key: micros(facts.pop(key)) for key in ("revenue", "discount", "margin") if key in facts}
    properties = facts | {f"{key}_micros": value for key, value in money.items()}
    return Outcome(message_id or f"event-{next(_message)}", name, customer_id, at, properties)


def bought(at: datetime, order_id: str = "o-2", revenue: float = 50.0, **facts: Any) -> Outcome:
    return outcome("Order Completed", at, order_id=order_id, revenue=revenue, **facts)


def refunded(at: datetime, order_id: str = "o-2", **facts: Any) -> Outcome:
    return outcome("Order Refunded", at, order_id=order_id, **facts)


def customers_of(group: Group, of: Programme) -> Iterator[str]:
    """Yield customers that the programme's salt puts into a group."""
    everybody = (f"c-{n}" for n in count())
    return (c for c in everybody if assign(c, salt=of.salt, shares=of.shares) is group)


def customer_of(group: Group, of: Programme, place: int = 0) -> str:
    return next(islice(customers_of(group, of), place, None))


def key_in(ledger: Ledger, role: Role = Role.ADMIN, *, name: str = "test") -> str:
    """Return the text of a new key."""
    return create_key(name, role=role, ledger=ledger, actor="tester", now=NOW)


def with_key(client: FlaskClient, key: str) -> FlaskClient:
    """Return a client that sends a key with all it asks."""
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def client_of(shop: Shop, role: Role = Role.ADMIN) -> FlaskClient:
    """Return a client of a shop's application with a key of its own."""
    key = key_in(shop.ledger, role)
    shop.refresh()
    return with_key(create_app(shop).test_client(), key)


COLUMNS = (
    Column("order_total", centre=60.0, scale=30.0),
    Column("customer_orders", log=True),
    Column("tier", levels=("gold", "silver")),
    Column("age", centre=40.0, scale=10.0, missing=True),
)


def manifest(**changes: Any) -> Manifest:
    blank = Manifest(
        format=FORMAT,
        created_at=NOW - DAY,
        policy="thompson",
        actions=ACTIONS,
        columns=COLUMNS,
        heads={"repurchase": "linear"},
        draws=256,
        exploration=1.0,
        seed=7,
        trained_through=NOW - DAY,
        arrays_sha256="",
        provenance=Provenance("by hand", "", "", 0, 0, "", ""),
    )
    for name, value in changes.items():
        blank = replace_field(blank, name, value)
    return blank


def replace_field(record: Manifest, name: str, value: Any) -> Manifest:
    import msgspec

    return msgspec.structs.replace(record, **{name: value})


def arrays(of: Manifest, *, seed: int = 3, spread: float = 0.1) -> dict[str, np.ndarray]:
    """Return random arrays that fit a manifest; `spread` is how much actions differ in log-odds."""
    rng = np.random.default_rng(seed)
    k, width = len(of.actions), Encoder(of.columns).width
    found: dict[str, np.ndarray] = {}
    for name, kind in of.heads.items():
        if kind == "linear":
            shared = np.concatenate([[-1.5], 0.1 * rng.standard_normal(width)])
            found[f"{name}.coefficients"] = shared + spread * rng.standard_normal((k, 1 + width))
        else:
            found |= {f"{name}.{part}": array for part, array in forest(rng, trees=5, width=width, actions=k).items()}
    features = action_features(of, Encoder(of.columns))
    prior = Posterior.prior(features.prior_variance(PriorScales()))
    basket = np.concatenate([np.full((k, 1), 3.9), 0.05 * rng.standard_normal((k, width))], axis=1)
    return found | {
        "basket.coefficients": basket,
        "basket.smear": np.array(1.1),
        "basket.range": np.array([5.0, 500.0]),
        "redemption": np.linspace(0.2, 0.6, k),
        **posterior_arrays(prior),
    }


def forest(rng: np.random.Generator, *, trees: int, width: int, actions: int) -> dict[str, np.ndarray]:
    """Return full trees of depth 2 with nodes in shuffled order, so that no order is taken for granted."""
    n = 7 * trees
    place = rng.permutation(n)
    feature, left, right = np.zeros(n, int), np.arange(n), np.arange(n)
    threshold, leaf, roots = np.zeros(n), np.zeros((n, actions)), []
    for tree in range(trees):
        node = place[7 * tree : 7 * tree + 7]
        roots.append(node[0])
        for inner in range(3):
            feature[node[inner]] = rng.integers(width)
            threshold[node[inner]] = rng.normal()
            left[node[inner]], right[node[inner]] = node[2 * inner + 1], node[2 * inner + 2]
        leaf[node[3:]] = rng.uniform(0.02, 0.4, size=(4, actions))
    whole = {"feature": feature, "threshold": threshold, "left": left, "right": right, "roots": np.array(roots)}
    return whole | {"leaf": leaf, "depth": np.array(2)}


def write_bundle(store: BundleStore, of: Manifest | None = None, *, seed: int = 3, spread: float = 0.1) -> Bundle:
    """Write a bundle of random arrays and return it."""
    described = of or manifest()
    return store.write(described, arrays(described, seed=seed, spread=spread))


def rows_of(bundle: Bundle) -> tuple[str, ...]:
    return bundle.manifest.actions
