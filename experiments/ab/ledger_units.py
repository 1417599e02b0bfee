"""Encore's own customers as units: one row each, over a window from her first decision.

Rewards of decisions overlap, as an order lies in the windows of several, and a customer who was won over has more of
them. So orders are counted here once, from the first decision on, which comes before any treatment: groups are compared
as they were drawn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec import structs

from decision.errors import NotEnoughData
from decision.ledger.base import Ledger, Rewarded
from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import Decision, Group, Outcome, RewardStatus
from decision.stages.events import ORDER_COMPLETED, ORDER_REFUNDED, UNSUBSCRIBED
from decision.stages.rewards import reward_of

GROUP = "group"
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
# The learner, which makes rewards final, may have stood still for a night.
_PATIENCE = timedelta(days=1)
CLAIM = (
    "Groups are drawn by a salted hash of the customer before anything is known of her, so that the difference between "
    "groups is what the programme caused. Comparing customers by the action they got would not be: the policy "
    "chooses whom it treats."
)


@dataclass(slots=True)
class _Seen:
    first: Decision
    rewarded: list[Rewarded] = field(default_factory=list)
    groups: dict[Group, datetime] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Measured:
    """Customers, as far as they can be measured.

    Parameters
    ----------
    table : Arrow, a row for each customer whose windows, and time for refunds, are over; None where there is none.
    events : how many events of theirs there are of each day.
    arrivals : how many customers, measured or not, had their first decision on each day, by (day, group).
    overdue : how many decisions should have a final reward and have none, by group.
    first_known_at : when the first customer is measured; None where there was no decision.
    """

    table: Any
    events: Counter[date]
    arrivals: Counter[tuple[date, str]]
    overdue: Counter[str]
    first_known_at: datetime | None

    @property
    def waiting(self) -> int:
        """Return how many customers are not measured yet."""
        return self.arrivals.total() - (0 if self.table is None else self.table.num_rows)


@dataclass(frozen=True, slots=True)
class _Told:
    """A customer with all that was told of her: of `before` her first decision, and since."""

    seen: _Seen
    before: Sequence[Outcome]
    since: Sequence[Outcome]
    programme: Programme
    now: datetime


def customers(ledger: Ledger, programme: Programme, *, window_days: float, now: datetime) -> Any:
    """Return the table of `measured` over one window. Raises `NotEnoughData` where nobody is measured yet."""
    return table_of(measured(ledger, programme, windows=(window_days,), now=now), programme, (window_days,))


def table_of(found: Measured, programme: Programme, windows: tuple[float, ...]) -> Any:
    """Return the table. Raises `NotEnoughData` where nobody is measured yet."""
    if found.table is None:
        raise NotEnoughData(
            f"Expected customers whose {max(windows):g} days, and {programme.refund_window_days:g} for refunds, are "
            "over, found none yet."
        )
    return found.table


def in_window(column: str, days: float) -> str:
    """Return what a column is called over another window than the first."""
    return f"{column} in {days:g} days"


def measured(ledger: Ledger, programme: Programme, *, windows: tuple[float, ...], now: datetime) -> Measured:
    """Measure every customer whose windows, and time for refunds, are over.

    Trials that were imported are left out. Money is in currency units; `cost` is what all her decisions of a window
    cost. Columns are over the first of the windows; those over others have their days in the name.
    """
    import pyarrow as pa

    everybody, overdue = _by_customer(ledger, now)
    wait = timedelta(days=max(windows) + programme.refund_window_days)
    rows, events = [], Counter[date]()
    for seen in everybody.values():
        at = seen.first.decided_at
        if at + wait > now:
            continue
        told = ledger.outcomes_of(seen.first.customer_id, start=at - timedelta(days=windows[0]), end=now)
        events.update(one.occurred_at.date() for one in told)
        before, since = [o for o in told if o.occurred_at <= at], [o for o in told if o.occurred_at > at]
        rows.append(_row(_Told(seen, before, since, programme, now), windows, known=at + wait))
    firsts = [seen.first for seen in everybody.values()]
    return Measured(
        pa.Table.from_pylist(rows) if rows else None,
        events,
        Counter((first.decided_at.date(), first.group.value) for first in firsts),
        overdue,
        min(first.decided_at for first in firsts) + wait if firsts else None,
    )


def _by_customer(ledger: Ledger, now: datetime) -> tuple[dict[str, _Seen], Counter[str]]:
    """Return customers with their decisions, and how many rewards are overdue, by group."""
    found: dict[str, _Seen] = {}
    overdue = Counter[str]()
    for one in ledger.rewarded():
        if not one.decision.imported:
            _seen(found, one.decision).rewarded.append(one)
    for decision, reward in ledger.unfinished(start=_EVER):
        if decision.imported:
            continue
        if reward is None:
            _seen(found, decision)
        if decision.matures_at + _PATIENCE < now:
            overdue[decision.group.value] += 1
    return found, overdue


def _seen(found: dict[str, _Seen], decision: Decision) -> _Seen:
    seen = found.setdefault(decision.customer_id, _Seen(decision))
    seen.groups[decision.group] = min(decision.decided_at, seen.groups.get(decision.group, decision.decided_at))
    if decision.decided_at < seen.first.decided_at:
        seen.first = decision
    return seen


def _row(her: _Told, windows: tuple[float, ...], *, known: datetime) -> dict[str, Any]:
    first = her.seen.first
    before = [one for one in her.before if one.name == ORDER_COMPLETED and one.properties["order_id"] != first.order_id]
    row: dict[str, Any] = {
        "customer_id": first.customer_id,
        GROUP: first.group.value,
        "groups": sum(since <= known for since in her.seen.groups.values()),
        "store": first.store or "none",
        "trigger": first.trigger,
        "assigned_at": first.decided_at.date(),
        "known_at": known.date(),
        "order_told": int(any(_is_first_order(one, first) for one in (*her.before, *her.since))),
        "orders_before": len({str(one.properties["order_id"]) for one in before}),
        "revenue_before": sum(one.properties["revenue_micros"] for one in before) / MICROS,
    }
    for days in windows:
        found = _over(her, first.decided_at + timedelta(days=days))
        row |= found if days == windows[0] else {in_window(name, days): value for name, value in found.items()}
    return row


def _is_first_order(told: Outcome, first: Decision) -> bool:
    return told.name == ORDER_COMPLETED and str(told.properties["order_id"]) == first.order_id


def _over(her: _Told, end: datetime) -> dict[str, float]:
    """Return what she did until the end of a window."""
    first, told = her.seen.first, her.since
    # The window as a whole, without a coupon: what offers cost is added from the decisions that made them.
    whole = structs.replace(first, window_ends_at=end, matures_at=her.now, coupon=None, contact_cost_micros=0)
    reward = reward_of(whole, told, programme=her.programme, now=her.now)
    inside = [one for one in her.seen.rewarded if one.decision.decided_at <= end]
    cost = sum(one.reward.cost_micros for one in inside if one.reward.status is RewardStatus.FINAL)
    orders, returned = _orders(told, first, end)
    return {
        "decisions": len(inside),
        "visited": int(reward.visited),
        "repurchased": int(reward.repurchased),
        "redeemed": int(any(one.reward.redeemed for one in inside)),
        "orders": orders,
        "returned": returned,
        "unsubscribed": int(any(one.name == UNSUBSCRIBED and one.occurred_at <= end for one in told)),
        "revenue": reward.revenue_micros / MICROS,
        "margin": reward.margin_micros / MICROS,
        "cost": cost / MICROS,
        "net": (reward.margin_micros - cost) / MICROS,
    }


def _orders(told: Iterable[Outcome], first: Decision, end: datetime) -> tuple[int, int]:
    """Return how many orders of the window there are, and how many of them came back, whenever."""
    ids: dict[str, set[str]] = defaultdict(set)
    for one in told:
        if one.name == ORDER_REFUNDED or (one.name == ORDER_COMPLETED and one.occurred_at <= end):
            ids[one.name].add(str(one.properties["order_id"]))
    orders = ids[ORDER_COMPLETED] - {first.order_id}
    return len(orders), len(orders & ids[ORDER_REFUNDED])
