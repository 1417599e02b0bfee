"""A case: what is compared, by which metrics, and how it was decided to read it before anybody looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from experiments.ab.bayes import Prior
from experiments.ab.effect import RelativeMethod
from experiments.ab.multiplicity import Correction
from experiments.ab.noninferiority import Better
from experiments.ab.planning import Traffic
from experiments.ab.plans import Plan


class MetricKind(StrEnum):
    """A mean, a share of yes, a ratio of two sums, or a quantile."""

    MEAN = "mean"
    PROPORTION = "proportion"
    RATIO = "ratio"
    QUANTILE = "quantile"


class Role(StrEnum):
    """What decides, what explains, and what must not degrade."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    GUARDRAIL = "guardrail"


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse a guardrail metric may be: in its own unit, or as a share of control's."""

    tolerated: float
    relative: bool


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Parameters
    ----------
    columns : one, or numerator and denominator of a ratio.
    covariates : of the time before the trial, for CUPED.
    winsorise : the quantile of all arms together at which its columns are cut.
    quantile : which one, of a quantile metric.
    window_days : how long after its assignment a unit is measured.
    """

    name: str
    kind: MetricKind
    role: Role
    columns: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    winsorise: float | None = None
    quantile: float = 0.5
    window_days: float = 0.0
    better: Better = Better.HIGHER
    margin: Margin | None = None
    relative: RelativeMethod = RelativeMethod.DELTA


@dataclass(frozen=True, slots=True)
class Arms:
    """The column that names the arm, the one that is compared with, and the share of each by design."""

    column: str
    control: str
    shares: Mapping[str, float]
    assigned: Mapping[str, int]

    @property
    def treatments(self) -> tuple[str, ...]:
        """Return the other arms in the order of the file."""
        return tuple(arm for arm in self.shares if arm != self.control)


@dataclass(frozen=True, slots=True)
class UnitColumns:
    """What names a unit; what was randomised where that is coarser; when it was assigned; what it is analysed by."""

    unit: str | None = None
    cluster: str | None = None
    assigned_at: str | None = None
    dimensions: tuple[str, ...] = ()
    strata: str | None = None


@dataclass(frozen=True, slots=True)
class MoneyColumns:
    """Margin before the cost of incentives, that cost where there is one, and the currency."""

    margin: str
    cost: str | None
    currency: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """For planning: how units come, when the test starts and must answer, and the effect that matters, by metric."""

    traffic: Traffic
    starts: date
    answer_by: date | None
    power: float
    effects: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """A case. `file` is None where the units are the customers of Encore's ledger."""

    name: str
    file: Path | None
    arms: Arms
    units: UnitColumns
    plan: Plan
    correction: Correction
    metrics: tuple[Metric, ...]
    money: MoneyColumns | None
    outlook: Outlook | None
    prior: Prior | None

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return the columns that are read as numbers."""
        names = [name for metric in self.metrics for name in (*metric.columns, *metric.covariates)]
        if self.money is not None:
            names += [self.money.margin, *([self.money.cost] if self.money.cost else [])]
        return tuple(dict.fromkeys(names))

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the columns that are read as text."""
        u = self.units
        names = [*u.dimensions, *(name for name in (u.unit, u.cluster, u.strata) if name)]
        return tuple(dict.fromkeys(names))
