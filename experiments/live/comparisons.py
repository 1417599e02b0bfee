"""Which groups of the programme are compared, by which metrics, and on whom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from decision.errors import NotEnoughData
from decision.ledger.base import Ledger
from decision.programme.metrics import KNOWN
from decision.programme.model import Programme
from decision.records import Group
from experiments.ab.case import Arms, Case, Metric
from experiments.ab.case_file import PROGRAMME_CASE, read_case
from experiments.ab.case_metrics import metric_as_declared
from experiments.ab.case_source import over_windows, windows_of
from experiments.ab.ledger_units import GROUP, Measured, measured, table_of
from experiments.ab.plans import Plan
from experiments.ab.units import Units, read_units

COLUMNS = (GROUP, "store", "trigger", "assigned_at", "customer_id")


@dataclass(frozen=True, eq=False)
class Customers:
    """The programme's customers as they were measured; `windows` [days], that of the money first."""

    programme: Programme
    found: Measured
    windows: tuple[float, ...]

    @property
    def table(self) -> Any:
        """Return the Arrow table of all who are measured. Raises `NotEnoughData` where nobody is yet."""
        return table_of(self.found, self.programme, self.windows)

    @property
    def kept(self) -> Any:
        """Return the table of those who were in one group alone."""
        import pyarrow.compute as pc

        return self.table.filter(pc.equal(self.table["groups"], 1))

    @property
    def groups(self) -> Counter[str]:
        """Return how many customers are measured in each group."""
        return Counter(self.table[GROUP].to_pylist())


def programme_metrics(programme: Programme) -> tuple[Metric, ...]:
    """Return the metrics that the programme declares, else the usual ones."""
    if programme.metrics:
        return tuple(map(metric_as_declared, programme.metrics))
    return _template().metrics


def customers_of(ledger: Ledger, programme: Programme, *, now: datetime) -> Customers:
    """Measure the programme's customers over the windows of its metrics."""
    named = ((metric.role, metric.window_days) for metric in programme_metrics(programme))
    windows = windows_of(named, float(programme.attribution_window_days))
    return Customers(programme, measured(ledger, programme, windows=windows, now=now), windows)


def against_holdout(customers: Customers) -> tuple[Case, Units]:
    """Return the policy against the holdout; where no policy has a share, the other groups.

    Raises
    ------
    NotEnoughData : the programme leaves nobody alone, or nobody of a group is measured yet.
    """
    return _compared(customers, Group.HOLDOUT, "nothing says what customers would do by themselves")


def against_usual(customers: Customers) -> tuple[Case, Units]:
    """Return the policy against business as usual. Raises `NotEnoughData` as `against_holdout`."""
    return _compared(customers, Group.BUSINESS_AS_USUAL, "nothing says what the shop's rule would bring")


def plan_of_programme() -> Plan:
    """Return how the programme is read."""
    return _template().plan


def _compared(customers: Customers, control: Group, lacking: str) -> tuple[Case, Units]:
    programme = customers.programme
    shares = {group: share for group, share in programme.shares.items() if share > 0}
    if control not in shares:
        raise NotEnoughData(
            f"Expected a share of customers in the group {control}, found 0: {lacking}.",
            hint="Give it one in [measurement_groups] of programme.toml.",
        )
    others = [Group.POLICY] if Group.POLICY in shares else [group for group in shares if group is not control]
    total = sum(shares[group] for group in (control, *others))
    parts = {group.value: shares[group] / total for group in (control, *others)}
    usual = float(programme.attribution_window_days)
    base = _template()
    case = replace(
        base,
        name=f"{programme.name}: {' and '.join(others)} against {control}",
        arms=Arms(GROUP, control.value, parts, {}),
        # A row is a customer, by construction.
        units=replace(base.units, unit=None),
        metrics=over_windows(programme_metrics(programme), customers.windows[0], usual),
        money=None if base.money is None else replace(base.money, currency=programme.currency),
    )
    counts = customers.groups
    empty = [arm for arm in (case.arms.control, *case.arms.treatments) if not counts[arm]]
    if empty:
        raise NotEnoughData(f"Expected measured customers in every group, found none in {' and '.join(empty)} yet.")
    return case, read_units(case, customers.kept)


def _template() -> Case:
    return read_case(PROGRAMME_CASE, (*COLUMNS, *KNOWN), None, shares={Group.HOLDOUT: 0.5, Group.POLICY: 0.5})
