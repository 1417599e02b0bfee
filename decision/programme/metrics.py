"""Metrics that are measured per customer, as they are declared in `programme.toml` and in the cases of A/B tests.

What is made of them is the offline rooms' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from decision.programme.section import Section, unknown

KINDS = ("mean", "proportion", "ratio", "quantile")
ROLES = ("primary", "secondary", "guardrail")
BETTER = ("higher", "lower")
RELATIVE = ("delta", "log_ratio")
# What the ledger knows of a customer over a window from her first decision; what is yes or no is 1 or 0.
YES_OR_NO: Mapping[str, str] = {
    "visited": "came to the shop",
    "repurchased": "bought again, and kept something",
    "redeemed": "used an offer",
    "unsubscribed": "unsubscribed from a channel",
}
AMOUNTS: Mapping[str, str] = {
    "orders": "orders",
    "returned": "orders of which something came back",
    "revenue": "revenue before discounts, after refunds",
    "margin": "margin after refunds, before the cost of incentives",
    "cost": "cost of incentives",
    "net": "margin after refunds, less the cost of incentives",
    "decisions": "decisions that were made for her",
    "orders_before": "orders in as many days before, for `covariates`",
    "revenue_before": "revenue in as many days before, for `covariates`",
}
KNOWN: tuple[str, ...] = (*AMOUNTS, *YES_OR_NO)
_ANY = 1e12


@dataclass(frozen=True, slots=True)
class DeclaredMetric:
    """A metric.

    Parameters
    ----------
    columns : one, or numerator and denominator of a ratio.
    covariates : of the time before, to take their share of the variance away.
    winsorise : the quantile at which large values are cut.
    quantile : which one, of a quantile metric.
    window_days : how long a customer is measured; 0 is the attribution window.
    margin : how much worse a guardrail metric may be, in its unit; with `relative_margin` as a share of control's.
    """

    name: str
    kind: str
    role: str
    columns: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    winsorise: float | None = None
    quantile: float = 0.5
    window_days: float = 0.0
    better: str = "higher"
    margin: float | None = None
    relative_margin: bool = False
    relative: str = "delta"


def declared_metrics(tables: Mapping[str, Section]) -> tuple[DeclaredMetric, ...]:
    """Return the metrics of a programme's `[metrics.NAME]`, of what the ledger knows; mistakes are noted."""
    found = []
    for name, section in tables.items():
        metric = declared_metric(name, section, KNOWN)
        if metric.kind == "proportion" and metric.columns[0] in AMOUNTS:
            section.wrong("column", f"expected one of {', '.join(YES_OR_NO)}: {metric.columns[0]!r} is no yes or no")
        found.append(metric)
    return tuple(found)


def declared_metric(name: str, section: Section, columns: tuple[str, ...]) -> DeclaredMetric:
    """Return the metric of a table `[metrics.NAME]` over columns of these names; its mistakes are noted."""
    kind = section.text("kind", one_of=KINDS)
    role = section.text("role", "secondary", one_of=ROLES)
    if section.raw("kind") not in KINDS:
        # They may be right for the kind that was meant.
        section.pass_over("column", "numerator", "denominator", "quantile")
        named: tuple[str, ...] = (columns[0],)
    else:
        keys = ("numerator", "denominator") if kind == "ratio" else ("column",)
        named = tuple(_column(section, key, columns) for key in keys)
    covariates = section.texts("covariates", known=columns, what="column")
    if kind == "quantile" and covariates:
        section.wrong("covariates", "a quantile is not adjusted by covariates")
    for own in sorted(set(covariates) & set(named)):
        section.wrong("covariates", f"{own!r} is the metric itself; a covariate is of the time before")
    margin, relative_margin = _margin(section, role)
    metric = DeclaredMetric(
        name,
        kind,
        role,
        named,
        covariates,
        section.number("winsorise", low=0.5, high=0.999999) if section.has("winsorise") else None,
        section.number("quantile", 0.5, low=0.001, high=0.999) if kind == "quantile" else 0.5,
        section.number("window_days", 0.0, low=0.0, high=3650),
        section.text("better", "higher", one_of=BETTER),
        margin,
        relative_margin,
        # Shares of few units are skewed; their logarithms hardly are.
        section.text("relative", "log_ratio" if kind == "proportion" else "delta", one_of=RELATIVE),
    )
    if metric.winsorise is not None and kind in ("proportion", "quantile"):
        section.wrong("winsorise", f"a {kind} has no large values to cut")
    section.finish()
    return metric


def _column(section: Section, key: str, columns: tuple[str, ...]) -> str:
    name = section.text(key)
    if isinstance(section.table.get(key), str) and name not in columns:
        section.wrong(key, unknown("column", name, columns))
    return name


def _margin(section: Section, role: str) -> tuple[float | None, bool]:
    if role != "guardrail":
        return None, False
    keys = [key for key in ("margin", "margin_percent") if section.has(key)]
    section.pass_over("margin", "margin_percent")
    if len(keys) != 1:
        section.wrong("margin", "a guardrail metric needs how much worse is tolerated: margin or margin_percent")
        return None, False
    relative = keys[0] == "margin_percent"
    value = section.number(keys[0], low=1e-12, high=_ANY)
    return value / 100 if relative else value, relative
