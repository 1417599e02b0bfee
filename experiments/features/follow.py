"""The use case: customers' features follow the ledger, so that a decision looks up what was known a moment ago.

A round takes those with new events or decisions, then some whose values are a day old: time alone changes a recency.
Both are computed by the same expressions as everybody's table, over all that the ledger holds of them. Doing a round
twice changes nothing, so that a position is kept only after what led to it was written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from decision.ledger.base import Ledger, NewProfile
from decision.records import ProfileSource
from experiments.features.catalogue import version_of
from experiments.features.compute import Prepared
from experiments.features.feature import Feature
from experiments.history.from_ledger import history_of_ledger

SOURCE = "features"
OUTCOMES, DECISIONS = "features:outcomes", "features:decisions"
# So many rows of the ledger a round, and so many customers whose values are old.
MOST_ROWS = 5_000
MOST_OLD = 500
OLD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Whom a round looked at: customers with news, and those whose values were old; of `gone` nothing is left."""

    news: int
    old: int
    gone: int

    def __bool__(self) -> bool:
        """Return whether there was anything to do."""
        return bool(self.news or self.old)


class Follower:
    """Keeps the profiles of one ledger fresh. Only one works on a ledger at a time."""

    def __init__(self, path: Path, ledger: Ledger, features: Sequence[Feature]) -> None:
        """`path` is where `ledger` is; `features` are the catalogue of its programme."""
        self._path = path
        self._ledger = ledger
        self._prepared = Prepared(features)
        self._version = version_of(features)
        self._is_renewed = False
        # By a fast clock an event can lie in the future: then it is news once more.
        self._ahead: dict[str, datetime] = {}

    def round(self, *, now: datetime) -> Refreshed:
        """Refresh who has news at `now`, and some of those whose values are old."""
        profiles = self._ledger.profiles
        positions = self._ledger.cursor(OUTCOMES), self._ledger.cursor(DECISIONS)
        changed = profiles.changed(*positions, limit=MOST_ROWS)
        self._ahead |= {name: at for name, at in changed.latest.items() if at >= now}
        arrived = {name for name, at in self._ahead.items() if at < now}
        news = arrived | set(changed.latest)
        # Whoever waits for news comes first; a backlog of them is worked off before anything that is only old.
        old = [] if len(changed.latest) > MOST_OLD else [name for name in self._old(now) if name not in news]
        gone = self._refresh(news | set(old), now) if news or old else 0
        self._ahead = {name: at for name, at in self._ahead.items() if name not in arrived}
        for name, before, after in (
            (OUTCOMES, positions[0], changed.outcomes),
            (DECISIONS, positions[1], changed.decisions),
        ):
            if after != before:
                self._ledger.move_cursor(name, after)
        return Refreshed(len(news), len(old), gone)

    def _old(self, now: datetime) -> list[str]:
        profiles = self._ledger.profiles
        if not self._is_renewed:
            other = profiles.of_other_version(SOURCE, self._version, limit=MOST_OLD)
            self._is_renewed = not other
            if other:
                return other
        return profiles.outdated(SOURCE, before=now - OLD, limit=MOST_OLD)

    def _refresh(self, customers: Collection[str], now: datetime) -> int:
        """Write the values of customers as of `now`; return of how many nothing is left in the ledger."""
        history = history_of_ledger(self._path, customers=customers)
        tables = (history.order_lines, history.contacts, history.visits)
        known = {name for table in tables for name in table["customer_id"].unique().to_pylist()}
        source = ProfileSource(SOURCE, now, self._version)
        rows = self._prepared.at(history, [(name, now) for name in sorted(known)]).to_pylist()
        values = [{f.name: row[f.name] for f in self._prepared.features} for row in rows]
        self._ledger.profiles.put(
            [NewProfile(row["customer_id"], source, hers) for row, hers in zip(rows, values, strict=True)]
        )
        gone = sorted(set(customers) - known)
        self._ledger.profiles.remove(SOURCE, gone)
        return len(gone)
