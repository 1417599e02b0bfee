"""A shop with few customers: models have too little data, and everything runs in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from decision.cli import main
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home
from tests.support import DAY, NOW, bought, decided


def encore(home: Home, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *words])


def done(home: Home, *words: str) -> str:
    result = encore(home, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


def fill(home: Home, customers: Sequence[int] = range(1, 9)) -> None:
    """Customer c-n buys on n days, the last one n days ago; c-1 has had an offer."""
    ledger = SqliteLedger.create(home.ledger_path)
    for n in customers:
        orders = [
            bought(NOW - n * DAY - 20 * k * DAY, f"o-{n}-{k}", customer_id=f"c-{n}", message_id=f"m-{n}-{k}")
            for k in range(n)
        ]
        ledger.record_outcomes(orders, now=NOW)
    at = NOW - 2 * DAY
    ledger.record_decision(decided(decision_id="d-1", customer_id="c-1", at=at, order_id="o-1-0"), (), seen_version=0)
    ledger.close()


@pytest.fixture
def scored(home: Home, tmp_path: Path) -> Home:
    """The home after training and a run over everybody."""
    fill(home)
    done(home, "customers", "train")
    done(home, "customers", "score", str(tmp_path / "everybody.parquet"))
    return home
