"""Reads `case.toml`; every mistake is one line with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from decision.errors import EncoreError, counted
from decision.programme.section import Problems, Section, shown, unknown
from experiments.ab.bayes import Prior
from experiments.ab.case import Arms, Case, Metric, MetricKind, MoneyColumns, Outlook, Role, UnitColumns
from experiments.ab.case_metrics import metric_of
from experiments.ab.multiplicity import Correction
from experiments.ab.planning import Traffic
from experiments.ab.plans import Plan, PlanKind
from experiments.ab.spending import Spending

# Encore against its holdout: what is analysed without a case.
PROGRAMME_CASE = Path(__file__).with_name("programme_case.toml")
LEDGER = "ledger"
_ANY = 1e12


class InvalidCase(EncoreError):
    """A case has mistakes; `problems` lists each with its line and place."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{path} has {counted(len(problems), 'mistake')}:{lines}")
        self.problems = problems


def read_tables(path: Path) -> tuple[str, dict[str, object]]:
    """Return the text and the tables of a case. Raises `InvalidCase` where it is not TOML."""
    try:
        # Some editors begin a file with a mark.
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidCase(path, [f"not valid TOML: {error}"]) from None
    except OSError as error:
        raise InvalidCase(path, [f"can't be read: {error.strerror}"]) from None


def source_of(path: Path) -> Path | None:
    """Return the file of units that a case names, beside the case; None for Encore's ledger.

    Raises `InvalidCase` where that is no text.
    """
    _, tables = read_tables(path)
    case = tables.get("case")
    named = case.get("file") if isinstance(case, dict) else None
    if named is not None and (not isinstance(named, str) or not named):
        raise InvalidCase(path, [f"case.file: expected a text, found {shown(named)}"])
    return None if named in (None, LEDGER) else path.parent / named


def named_outside_metrics(path: Path) -> tuple[str, ...]:
    """Return the columns that [arms], [units] and [money] name, which past units need not have."""
    _, tables = read_tables(path)
    named: list[str] = []
    for key in ("arms", "units", "money"):
        table = tables.get(key)
        for value in table.values() if isinstance(table, dict) else ():
            named += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(str(name) for name in named)


def read_case(
    path: Path, columns: tuple[str, ...], file: Path | None, *, shares: Mapping[str, float] | None = None
) -> Case:
    """Return the case, checked against the columns of its units; `shares` are for a case that names none.

    Raises
    ------
    InvalidCase : with every mistake found.
    """
    text, tables = read_tables(path)
    problems = Problems(text)
    root = Section("", tables, problems)
    head = root.sub("case")
    name = head.text("name")
    head.pass_over("file")
    head.finish()
    arms = _arms(root.sub("arms"), shares or {})
    _known(root.sub("arms"), "column", columns)
    plan, correction = _plan(root.sub("plan"))
    metrics = tuple(metric_of(key, section, columns) for key, section in root.subs("metrics").items())
    if not any(metric.role is Role.PRIMARY for metric in metrics):
        root.wrong("metrics", 'expected a metric with role = "primary", found none')
    case = Case(
        name,
        file,
        arms,
        _units(root.sub("units"), columns),
        plan,
        correction,
        metrics,
        _money(root.sub("money"), columns) if root.has("money") else None,
        _outlook(root.sub("planning"), metrics) if root.has("planning") else None,
        _prior(root.sub("bayes")) if root.has("bayes") else None,
    )
    root.finish()
    if problems.found:
        raise InvalidCase(path, problems.found)
    return case


def _known(section: Section, key: str, columns: tuple[str, ...]) -> None:
    value = section.table.get(key)
    if isinstance(value, str) and value not in columns:
        section.wrong(key, unknown("column", value, columns))


def _arms(section: Section, usual: Mapping[str, float]) -> Arms:
    column, control = section.text("column"), section.text("control")
    shares = section.sub("shares")
    parts = {str(arm): shares.number(arm, low=0.0, high=_ANY) for arm in shares.table}
    shares.finish()
    parts = parts or dict(usual)
    counts = section.sub("assigned")
    assigned = {str(arm): counts.whole(arm, high=10**12) for arm in counts.table}
    counts.finish()
    section.finish()
    if len(parts) < 2:
        section.wrong_as_a_whole("shares", f"expected the share of two arms or more, found {len(parts)}")
    if any(part <= 0 for part in parts.values()):
        section.wrong_as_a_whole("shares", "expected shares above 0; an arm without units is none")
    if parts and control not in parts:
        section.wrong_as_a_whole("control", unknown("arm", control, tuple(parts)))
    if assigned and assigned.keys() != parts.keys():
        section.wrong_as_a_whole("assigned", f"expected a number for each of {', '.join(parts)}")
    total = sum(parts.values()) or 1.0
    return Arms(column, control, {arm: part / total for arm, part in parts.items()}, assigned)


def _units(section: Section, columns: tuple[str, ...]) -> UnitColumns:
    named = {
        key: section.text(key) if section.has(key) else None for key in ("unit", "cluster", "assigned_at", "strata")
    }
    for key in named:
        _known(section, key, columns)
    dimensions = section.texts("dimensions", known=columns, what="column")
    section.finish()
    return UnitColumns(named["unit"], named["cluster"], named["assigned_at"], dimensions, named["strata"])


def _plan(section: Section) -> tuple[Plan, Correction]:
    kind = PlanKind(section.text("kind", one_of=tuple(PlanKind)))
    units = section.number("units", low=2, high=_ANY)
    alpha = section.number("alpha", 0.05, low=1e-9, high=0.5)
    spending = Spending(section.text("spending", Spending.OBRIEN_FLEMING, one_of=tuple(Spending)))
    correction = Correction(section.text("correction", Correction.HOLM, one_of=tuple(Correction)))
    looks = section.raw("looks", [])
    section.finish()
    good = isinstance(looks, list) and all(
        isinstance(look, int | float) and not isinstance(look, bool) for look in looks
    )
    rising = good and all(a < b for a, b in zip([0.0, *looks], looks, strict=False))
    if kind is PlanKind.GROUP_SEQUENTIAL and not (looks and rising and looks[-1] == 1):
        section.wrong("looks", "expected rising shares of the units up to 1, such as [0.25, 0.5, 0.75, 1.0]")
        looks = [1.0]
    elif kind is not PlanKind.GROUP_SEQUENTIAL and section.has("looks"):
        section.wrong("looks", f"a plan of the kind {kind} has none")
        looks = []
    return Plan(kind, units, alpha, tuple(float(look) for look in looks), spending), correction


def _money(section: Section, columns: tuple[str, ...]) -> MoneyColumns:
    _known(section, "margin", columns)
    _known(section, "cost", columns)
    found = MoneyColumns(
        section.text("margin"), section.text("cost") if section.has("cost") else None, section.text("currency", "EUR")
    )
    section.finish()
    return found


def _outlook(section: Section, metrics: tuple[Metric, ...]) -> Outlook | None:
    starts, by = section.day("starts"), section.day("answer_by")
    traffic = Traffic(
        section.number("units_per_day", low=1e-6, high=_ANY),
        max((metric.window_days for metric in metrics), default=0.0),
    )
    wanted = section.number("power", 0.8, low=0.5, high=0.999)
    table = section.sub("effects")
    able = {metric.name: metric for metric in metrics if metric.kind is not MetricKind.QUANTILE}
    effects = {}
    for name in table.table:
        if name not in able:
            table.raw(name)
            table.wrong(name, unknown("metric", name, tuple(able)))
        else:
            effects[name] = table.number(name, low=-_ANY, high=_ANY)
    table.finish()
    section.finish()
    if starts is None:
        section.wrong_as_a_whole("starts", "expected the day on which the test starts")
        return None
    return Outlook(traffic, starts, by, wanted, effects)


def _prior(section: Section) -> Prior:
    mean = section.number("prior_mean", 0.0, low=-_ANY, high=_ANY)
    flat = not section.has("prior_sd")
    spread = float("inf") if flat else section.number("prior_sd", low=1e-12, high=_ANY)
    section.finish()
    return Prior(mean, spread)
