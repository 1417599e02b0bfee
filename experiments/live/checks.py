"""Can the measurement of the programme be believed? What only its own ledger shows, beside the checks of any trial."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from decision.records import Group
from experiments.ab.ledger_units import GROUP
from experiments.ab.soundness import Check, Finding, contamination, logging_loss, sample_ratio
from experiments.live.comparisons import Customers

# So many events a day, and a day without any is no chance.
_BUSY = 20.0
_MOST_OVERDUE = 0.01


def checks_of_programme(customers: Customers) -> tuple[Check, ...]:
    """Return every check. Raises `NotEnoughData` where nobody is measured yet."""
    return (
        _all_groups(customers),
        _one_group(customers),
        _overdue(customers),
        _orders_told(customers),
        _silent_days(customers),
    )


def _all_groups(customers: Customers) -> Check:
    shares = {group.value: share for group, share in customers.programme.shares.items() if share > 0}
    counts = customers.groups
    strangers = [name for name in counts if name not in shares]
    if strangers:
        text = (
            f"{sum(counts[name] for name in strangers):,} customers are of {' and '.join(strangers)}, which have no "
            "share now: shares were changed while the programme ran."
        )
        return Check("sample ratio of all groups", Finding.UNSOUND, text)
    check = sample_ratio({name: counts[name] for name in shares}, shares)
    return Check("sample ratio of all groups", check.finding, check.sentence, check.p_value)


def _one_group(customers: Customers) -> Check:
    table = customers.table
    ids = np.asarray(table["customer_id"].to_pylist())
    crossed = ids[np.asarray(table["groups"]) > 1]
    # Seen twice, with another group the second time.
    check = contamination(
        np.concatenate([ids, crossed]), np.concatenate([np.zeros(len(ids)), np.ones(len(crossed))]).astype(np.int64)
    )
    return Check(check.name, check.finding, check.sentence.replace("unit", "customer").replace("arms", "groups"))


def _overdue(customers: Customers) -> Check:
    late, total = customers.found.overdue, int(np.asarray(customers.table["decisions"]).sum())
    count = late.total()
    if not count:
        return Check("rewards", Finding.SOUND, "Every decision whose time is over has its final reward.")
    text = f"{count:,} decisions should have a final reward and have none: is `encore learn` running?"
    unsound = count > _MOST_OVERDUE * max(total, 1)
    return Check("rewards", Finding.UNSOUND if unsound else Finding.CAREFUL, text)


def _orders_told(customers: Customers) -> Check:
    """Orders that led to a decision were placed before any treatment: groups can only lose them in logging."""
    table = customers.table.to_pylist()
    asked = [row for row in table if row["trigger"] == "purchase"]
    names = sorted({row[GROUP] for row in asked}, key=list(Group).index)
    all_of = {name: sum(row[GROUP] == name for row in asked) for name in names}
    told = {name: sum(row["order_told"] for row in asked if row[GROUP] == name) for name in names}
    if not sum(told.values()) or len(names) < 2:
        text = "No order that led to a decision was told as an event, so that it can't be seen whether orders are lost."
        return Check("logging loss", Finding.CAREFUL, text)
    check = logging_loss(all_of, told)
    text = check.sentence.replace("Units without measurement", "Orders that led to a decision and were never told")
    return Check(check.name, check.finding, text, check.p_value)


def _silent_days(customers: Customers) -> Check:
    events = customers.found.events
    if not events:
        return Check("events", Finding.UNSOUND, "No customer's event was ever told: nothing is known of what they do.")
    silent = _without(customers, min(events), max(events))
    usual = events.total() / max((max(events) - min(events)).days + 1, 1)
    if usual < _BUSY:
        return Check("events", Finding.SOUND, "Too few events a day to see whether any are missing.")
    if not silent:
        return Check("events", Finding.SOUND, "Events came in on every day.")
    text = f"No event at all came in on {len(silent)} of the days, first on {silent[0]}: orders of then are missing."
    return Check("events", Finding.CAREFUL, text)


def _without(customers: Customers, first: date, last: date) -> list[date]:
    days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    return [day for day in days if not customers.found.events[day]]
