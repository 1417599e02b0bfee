from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from decision.cli import main
from decision.ledger.base import Rewarded
from decision.ledger.sqlite import SqliteLedger
from decision.records import Decision, Group, Outcome, Reason, Rejection, Reward, RewardStatus

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

PROGRAMME = """
[programme]
name = "Corner shop"
currency = "EUR"
salt = "corner"
gross_margin = 0.40
[channels.email]
[offers.thank_you]
kind = "none"
channels = ["email"]
[features.age]
type = "number"
[features.tier]
type = "category"
"""


@dataclass(frozen=True)
class Export:
    """A home with a ledger, and `encore export` run on it; files are read with pandas alone."""

    root: Path
    ledger: SqliteLedger

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["--home", str(self.root), "export", str(self.root / "out"), *words])

    def read(self, table: str, form: str) -> Any:
        import pandas as pd

        path = self.root / "out" / f"{table}.{form}"
        return pd.read_parquet(path) if form == "parquet" else pd.read_csv(path)


@pytest.fixture
def export(tmp_path: Path) -> Iterator[Export]:
    (tmp_path / "programme.toml").write_text(PROGRAMME, encoding="utf-8")
    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    yield Export(tmp_path, ledger)
    ledger.close()


def decision(number: int, **changes: Any) -> Decision:
    facts: dict[str, Any] = {
        "decision_id": f"d{number}",
        "customer_id": f"c{number}",
        "trigger": "purchase",
        "store": None,
        "order_id": f"o{number}",
        "decided_at": START + timedelta(minutes=number),
        "group": Group.POLICY,
        "action_id": "thank_you@email",
        "propensity": 0.1 + 0.2,
        "policy_version": "v1",
        "allowed": ("control", "thank_you@email"),
        "distribution": (1.0 - (0.1 + 0.2), 0.1 + 0.2),
        "context": {"trigger": "purchase", "order_total": 49.9, "age": 30.0, "tier": None},
        "predictions": {"repurchase": (0.1, None), "value": (1.5, None)},
        "rejected": (Rejection("bogo@email", Reason.NO_CONSENT, "no word on e-mail"),),
        "reasons": (("explored", 'said "why", plainly'),),
        "expires_at": START + timedelta(days=28),
        "matures_at": START + timedelta(days=42),
        "contact_cost_micros": 20_000,
        "fingerprint": "f",
        "coupon": "ABC",
    }
    return Decision(**{**facts, **changes})


def reward(number: int, *, value: int = 0, status: RewardStatus = RewardStatus.FINAL) -> Reward:
    return Reward(f"d{number}", status, True, value > 0, False, value, value, 0, value, START + timedelta(days=43))


@pytest.fixture
def filled(export: Export) -> Export:
    """Return an export of three decisions, the second with a reward that was revised twice."""
    ledger = export.ledger
    first = decision(1)
    second = decision(2, context={"trigger": "return", "tier": "gold", "dropped": "yes"}, predictions={})
    ledger.import_decisions([Rewarded(first, reward(1, value=5)), Rewarded(second, reward(2, value=7))])
    ledger.record_rewards([reward(2, value=9, status=RewardStatus.PROVISIONAL), reward(1, value=4)], [])
    ledger.record_rewards([reward(2, value=2**53 + 1)], [])
    held_out = decision(
        3,
        group=Group.HOLDOUT,
        allowed=("control",),
        distribution=(1.0,),
        action_id="control",
        propensity=1.0,
        expires_at=None,
        coupon=None,
    )
    ledger.record_decision(held_out, [], seen_version=0)
    properties = {"order_id": "ö,1", "revenue_micros": 5, "products": [["tea", 1, 5]]}
    ledger.record_outcomes([Outcome("m1", "Order Completed", "c1", START, properties)], now=START)
    return export


@pytest.fixture
def more() -> Callable[[SqliteLedger], None]:
    """Return what writes another decision with a fact of its own, and revises a reward."""

    def write(ledger: SqliteLedger) -> None:
        later = decision(4, context={"later": 1.0})
        ledger.import_decisions([Rewarded(later, reward(4))])
        ledger.record_rewards([reward(1, value=1)], [])

    return write
