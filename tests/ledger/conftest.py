"""A ledger that is added to LEDGERS is held to the whole contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from decision.ledger.base import Ledger
from decision.ledger.sqlite import SqliteLedger

LEDGERS: dict[str, Callable[[Path], Ledger]] = {"sqlite": lambda folder: SqliteLedger.create(folder / "ledger.db")}


@pytest.fixture(params=sorted(LEDGERS))
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    ledger = LEDGERS[request.param](tmp_path)
    yield ledger
    ledger.close()  # type: ignore[attr-defined]
