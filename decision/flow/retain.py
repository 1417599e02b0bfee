"""The use case: what is older than the programme's `[retention]` goes; what was learned and counted stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from decision.flow.sweep import LATE
from decision.ledger.base import Ledger
from decision.ledger.codec import to_us
from decision.ledger.retention import Retention
from decision.programme.model import Programme

# So many rows of a kind go in one round of the learner: a ledger that gets its first limit is worked off over hours.
MOST = 5_000
EVERY = timedelta(hours=1)
CURSOR = "retention"


def retain(*, path: Path, ledger: Ledger, programme: Programme, now: datetime) -> dict[str, int]:
    """Remove a bounded part of what is too old at `now`, and return how many rows of each kind went.

    The ledger is looked through once an hour, and again in the next round while there was more than a round removes.
    """
    kept, hour = programme.retention.days(), int(now.timestamp() // EVERY.total_seconds())
    if not kept or ledger.cursor(CURSOR) >= hour:
        return {}
    retention = Retention(path)
    try:
        removed = {
            name: retention.remove(name, _bounds(programme, days, now), most=MOST) for name, days in kept.items()
        }
    finally:
        retention.close()
    if all(n < MOST for n in removed.values()):
        ledger.move_cursor(CURSOR, hour)
    return {name: n for name, n in removed.items() if n}


def would_go(*, path: Path, programme: Programme, now: datetime) -> dict[str, int]:
    """Return how many rows of each kind with a limit are too old at `now`; nothing is changed.

    Events and customers that can go only after decisions have gone are not counted yet.
    """
    retention = Retention(path)
    try:
        kept = programme.retention.days()
        return {name: retention.count(name, _bounds(programme, days, now)) for name, days in kept.items()}
    finally:
        retention.close()


def _bounds(programme: Programme, days: int, now: datetime) -> Mapping[str, Any]:
    """Return the values that conditions name: times in microseconds, and the budgets whose period is not over."""
    return {
        "before": to_us(now - timedelta(days=days)),
        # A refund that comes later than this changes no reward any more, and gives no budget back.
        "settled": to_us(now - LATE),
        "late": LATE // timedelta(microseconds=1),
        "budgets": msgspec.json.encode([programme.budget_key(b, now) for b in programme.budgets]).decode(),
    }


def sayable(removed: Mapping[str, int]) -> str:
    """Return what went, in words."""
    return ", ".join(f"{n} {name}" for name, n in removed.items())
