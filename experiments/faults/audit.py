"""What the ledger holds, against what the tills were told."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from decision.ledger.sqlite import SqliteLedger
from decision.records import CONTROL
from experiments.faults.tills import Answer


@dataclass(frozen=True, slots=True)
class Audit:
    """What is wrong, by decision or order id; empty where nothing is.

    `lost` was acknowledged and is not held, or says something else. `doubled` was answered in two ways, held twice, or
    counts as an offer that its till was never told of. `ledger` are sentences on budgets and the file itself.
    """

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    ledger: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Return whether nothing is wrong."""
        return not (self.lost or self.doubled or self.ledger)


def audit(path: Path, answers: Sequence[Answer], orders: Mapping[str, str]) -> Audit:
    """Return what is wrong with the ledger at `path`; nobody may be writing."""
    with closing(SqliteLedger(path)) as ledger:
        # Opening it has corrected what a killed process left behind.
        held = [(row["decision_id"], row["action_id"]) for row in ledger.rows("decisions")]
        events = Counter(row["message_id"] for row in ledger.rows("outcomes"))
    action_of, told = dict(held), _told(answers)
    lost = [one for one, actions in told.items() if actions and action_of.get(one) not in actions]
    lost += [order for order in orders if f"m-{order}" not in events]
    doubled = [one for one, times in Counter(one for one, _ in held).items() if times > 1]
    doubled += [one for one, actions in told.items() if len(actions) > 1]
    # Only ever answered control: an offer in the log would be one that nobody was given.
    unmade = {a.decision_id for a in answers if a.kind == "control"} - {one for one, actions in told.items() if actions}
    doubled += [one for one in unmade if action_of.get(one, CONTROL) != CONTROL]
    with closing(sqlite3.connect(path)) as db:
        doubled += _counted_twice(db, orders)
        return Audit(tuple(lost), tuple(doubled), tuple(_wrong(db)))


def _told(answers: Sequence[Answer]) -> dict[str, set[str]]:
    """Return, for each decision, the actions that were acknowledged as recorded."""
    told: dict[str, set[str]] = {}
    for answer in answers:
        actions = told.setdefault(answer.decision_id, set())
        if answer.recorded and answer.action is not None:
            actions.add(answer.action)
    return told


def _counted_twice(db: sqlite3.Connection, orders: Mapping[str, str]) -> list[str]:
    """Return customers whose totals count more orders than were told of, or fewer than were acknowledged."""
    told = dict(db.execute("SELECT customer_id, COUNT(DISTINCT message_id) FROM outcomes GROUP BY 1"))
    counted = dict(db.execute("SELECT customer_id, orders FROM customers"))
    acknowledged = Counter(orders.values())
    return [one for one in told if counted.get(one) != told[one] or acknowledged[one] > told[one]]


def _wrong(db: sqlite3.Connection) -> list[str]:
    (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
    found = [] if verdict == "ok" else [f"integrity check: {verdict}"]
    reserved = {
        key: sums
        for key, *sums in db.execute("SELECT budget_key, SUM(amount_micros), SUM(count) FROM reservations GROUP BY 1")
    }
    for key, *sums in db.execute("SELECT budget_key, amount_micros, count FROM budget_use"):
        if reserved.pop(key, [0, 0]) != sums:
            found.append(f"budget {key} says {sums}, its reservations say otherwise")
    found += [f"budget {key} is reserved and not counted" for key in reserved]
    return found
