"""The synthetic shop that is measured: a home folder with a promoted Thompson bundle, and what its checkout asks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np

from decision import __version__
from decision.bundle.manifest import FORMAT, Manifest, Provenance
from decision.bundle.store import Bundle
from decision.flow.promotion import promote
from decision.ledger.base import Ledger
from decision.policies.action_features import PriorScales
from decision.policies.posterior import Posterior, logit
from decision.programme.model import Programme
from decision.records import FloatArray
from decision.serving import action_features, posterior_arrays
from decision.stages.context import Column, Encoder
from decision.wiring import Home, utc_now
from experiments.bench.serving.fill import customer_id
from experiments.bench.serving.load import PLACEHOLDER

SEED = 20
DRAWS = 256
OUTCOMES = 2_000
QUESTIONS = 512
# More, so that customers come at random and seldom twice.
KNOWN_QUESTIONS = 8_192
TIERS = ("none", "silver", "gold", "platinum")
DEVICES = ("mobile", "desktop", "app")
COLUMNS = (
    Column("trigger", levels=("purchase", "return")),
    Column("order_total", centre=3.8, scale=0.7, log=True),
    Column("order_items", centre=1.2, scale=0.6, log=True),
    Column("customer_orders", centre=1.0, scale=0.8, log=True),
    Column("customer_revenue", centre=4.0, scale=2.0, log=True),
    Column("days_since_last_order", centre=3.5, scale=1.0, log=True, missing=True),
    Column("age_years", centre=43.0, scale=13.0, missing=True),
    Column("tenure_days", centre=5.9, scale=0.9, log=True),
    Column("discount_share", centre=0.4, scale=0.25),
    Column("sessions_90d", centre=1.8, scale=0.7, log=True),
    Column("loyalty_tier", levels=TIERS),
    Column("device", levels=DEVICES),
)


def write_home(folder: Path, *, rules: bool = True) -> Home:
    """Return a home in `folder` with the benchmark's programme, an empty ledger and a promoted bundle.

    Without `rules` the programme has no CEL rule: an install without the extra can serve it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = Home(folder)
    text = Path(__file__).with_name("programme.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines(keepends=True) if rules or not line.startswith("rules = ")]
    home.programme_path.write_text("".join(lines), encoding="utf-8")
    with closing(home.ledger()) as ledger:
        promoted_bundle(home, ledger, seed=SEED)
    return home


def promoted_bundle(home: Home, ledger: Ledger, *, seed: int) -> Bundle:
    """Write a bundle of random heads into a home, promote it, and return it."""
    programme = home.programme()
    manifest = _manifest(programme, seed)
    bundle = home.bundles.write(manifest, _arrays(manifest))
    return promote(
        bundle.version,
        programme=programme,
        bundles=home.bundles,
        ledger=ledger,
        reason="to be measured",
        verdict=(),
        now=utc_now(),
    )


def _manifest(programme: Programme, seed: int) -> Manifest:
    now = utc_now()
    return Manifest(
        format=FORMAT,
        created_at=now,
        policy="thompson",
        actions=tuple(action.action_id for action in programme.actions),
        columns=COLUMNS,
        heads={"visit": "linear", "repurchase": "linear"},
        draws=DRAWS,
        exploration=1.0,
        seed=seed,
        trained_through=now,
        arrays_sha256="",
        provenance=Provenance("random heads", "", "", OUTCOMES, seed, programme.digest, __version__),
    )


def _arrays(manifest: Manifest) -> dict[str, FloatArray]:
    """Return random linear heads for K actions and a belief whose covariance is dense, as after some weeks."""
    rng = np.random.default_rng(manifest.seed)
    actions, width = len(manifest.actions), Encoder(manifest.columns).width
    return {
        "visit.coefficients": _head(rng, actions, width, intercept=-1.0),
        "repurchase.coefficients": _head(rng, actions, width, intercept=-2.2),
        "basket.coefficients": _head(rng, actions, width, intercept=3.6),
        "basket.smear": np.array(1.2),
        "basket.range": np.array([5.0, 500.0]),
        "redemption": rng.uniform(0.3, 0.8, actions),
        **posterior_arrays(_belief(manifest, rng)),
    }


def _head(rng: np.random.Generator, actions: int, width: int, *, intercept: float) -> FloatArray:
    """Return coefficients [K, 1 + D]: shared ones, and a little of its own for each action."""
    shared = np.concatenate([[intercept], 0.15 * rng.standard_normal(width)])
    own: FloatArray = 0.05 * rng.standard_normal((actions, 1 + width))
    return shared + own


def _belief(manifest: Manifest, rng: np.random.Generator) -> Posterior:
    features = action_features(manifest, Encoder(manifest.columns))
    index = rng.integers(len(manifest.actions), size=OUTCOMES)
    odds = rng.uniform(0.02, 0.25, OUTCOMES)
    return Posterior.prior(features.prior_variance(PriorScales())).updated(
        design=features.design(index, rng.standard_normal((OUTCOMES, features.width))),
        offset=logit(odds),
        outcome=(rng.random(OUTCOMES) < odds).astype(float),
    )


def questions(key: str, *, customers: int | None = None) -> tuple[bytes, ...]:
    """Return HTTP requests for decisions with an API key; `PLACEHOLDER` is the decision's id, and names its customer.

    With `customers`, one of so many that are known is asked about instead.
    """
    rng = np.random.default_rng(SEED)
    asked = [_question(rng) for _ in range(QUESTIONS if customers is None else KNOWN_QUESTIONS)]
    if customers is not None:
        asked = [one | {"customer_id": customer_id(int(rng.integers(customers)))} for one in asked]
    return tuple(_request(one, key) for one in asked)


def _question(rng: np.random.Generator) -> dict[str, object]:
    total = float(np.round(np.exp(3.8 + 0.5 * rng.standard_normal()) + 10.0, 2))
    return {
        "decision_id": PLACEHOLDER.decode(),
        "customer_id": f"customer-{PLACEHOLDER.decode()}",
        "trigger": "purchase" if rng.random() < 0.8 else "return",
        "store": "online",
        "order": {
            "order_id": f"order-{rng.integers(10**9):09d}",
            "total": {"amount": f"{total:.2f}", "currency": "EUR"},
            "products": [f"sku-{number}" for number in rng.integers(10_000, size=3)],
            "item_count": 3,
        },
        "features": {
            "age_years": None if rng.random() < 0.1 else float(rng.integers(18, 90)),
            "tenure_days": float(rng.integers(1, 3_000)),
            "discount_share": round(float(rng.random()), 2),
            "sessions_90d": float(rng.integers(1, 40)),
            "loyalty_tier": str(rng.choice(TIERS)),
            "device": str(rng.choice(DEVICES)),
        },
        "consent": {"email": True, "sms": True, "web_push": True},
    }


def _request(question: dict[str, object], key: str) -> bytes:
    return post("/v1/decisions", question, f"Authorization: Bearer {key}\r\n")


def post(address: str, body: dict[str, object], headers: str = "") -> bytes:
    """Return an HTTP request that posts JSON; each of `headers` ends with a line break."""
    text = msgspec.json.encode(body)
    head = (
        f"POST {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text
