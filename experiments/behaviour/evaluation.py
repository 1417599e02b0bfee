"""Every prediction against a simple rule, on what followed a cut. Models see nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.records import FloatArray
from experiments.behaviour import metrics, rules
from experiments.behaviour.journal import Journal, date_of, journal_of
from experiments.behaviour.metrics import Compared, Metric
from experiments.behaviour.models import SEASON_DAYS, WHEN, Models, Settings, churn_days, fit
from experiments.behaviour.repurchase import Curve
from experiments.behaviour.state import State, first_purchase_after, spent_after, state_at
from experiments.history.tables import History

HORIZONS = (30, 60, 90)
LONGEST_VALUE = 180
CHANCE: tuple[tuple[str, Metric, int], ...] = (
    ("AUC", metrics.auc, 1),
    ("log loss", metrics.log_loss, -1),
    ("ECE", metrics.ece, -1),
)
MONEY: tuple[tuple[str, Metric, int], ...] = (
    ("normalised Gini", metrics.normalised_gini, 1),
    ("MAE", metrics.mean_absolute, -1),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: of what, which metric, on how many customers, beside which rule."""

    what: str
    metric: str
    customers: int
    rule: str
    found: Compared

    @property
    def key(self) -> str:
        """Return its name in MLflow."""
        return f"{self.what}.{self.metric}.vs.{self.rule}".replace(" ", "_").replace(",", "").replace(">", "over")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came of a cut: the lines, calibration by horizon as (predicted, came), and interval coverage by name."""

    models: Models
    days_after: int
    lines: tuple[Line, ...]
    calibration: Mapping[str, tuple[FloatArray, FloatArray]]
    coverage: Mapping[str, float]
    curve: Curve
    state: State


def evaluate(
    history: History, cut: int, settings: Settings, *, advance: Callable[[int], None] = lambda _: None
) -> Evaluated:
    """Return how predictions made at the day `cut` did on what followed. Raises `NotEnoughData`."""
    models = fit(history, cut, settings, advance=advance)
    if models.repurchase is None:
        verdict = next(one for one in models.verdicts if not one.enough)
        raise NotEnoughData(verdict.why, hint=f"Used instead: {verdict.rule}.")
    journal = journal_of(history.order_lines, timezone=settings.timezone)
    after = journal.last_day + 1 - cut
    if after < HORIZONS[0]:
        raise NotEnoughData(
            f"Expected at least {HORIZONS[0]} days after {date_of(cut - 1)} to judge predictions by, found "
            f"{max(after, 0)}.",
            hint="Choose an earlier --cut.",
        )
    state = state_at(journal, cut)
    curve = models.repurchase.curve(state)
    outcome = _Outcome(journal, cut, after, state, curve, settings.seed)
    calibration = {
        f"{days} days": (curve.within(float(days)), (outcome.wait < days).astype(float))
        for days in HORIZONS
        if days <= after
    }
    lines = [*outcome.repurchase(calibration), *outcome.churn(), *outcome.date(), *outcome.value(models)]
    return Evaluated(models, after, tuple(lines), calibration, outcome.coverage(models), curve, state)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What followed the cut, for the customers of a state."""

    journal: Journal
    cut: int
    after: int
    state: State
    curve: Curve
    seed: int

    @property
    def wait(self) -> FloatArray:
        return first_purchase_after(self.journal, self.state)

    def repurchase(self, calibration: Mapping[str, tuple[FloatArray, FloatArray]]) -> Iterator[Line]:
        for name, (predicted, came) in calibration.items():
            learned = rules.learn_rules(self.journal, self.cut, int(name.split()[0]))
            by = {"RFM score": learned.by_rfm(self.state), "silent > 2 gaps": learned.by_gap(self.state)}
            for rule, other in by.items():
                yield from self._lines(f"buys in {name}", CHANCE, came, rule, (predicted, other))

    def churn(self) -> Iterator[Line]:
        """Yield lines of those whose own span is over by the end of what is known."""
        own = churn_days(self.state, float(self.curve.ends[-1]))
        seen = np.flatnonzero(own <= self.after)
        if len(seen) < 50:
            return
        left = (self.wait > own).astype(float)[seen]
        learned = rules.learn_rules(self.journal, self.cut, int(np.median(own)))
        pair = (1.0 - self.curve.within(own))[seen], (1.0 - learned.by_gap(self.state))[seen]
        yield from self._lines("churn by own rhythm", CHANCE, left, "silent > 2 gaps", pair)

    def date(self) -> Iterator[Line]:
        """Yield the line of those who bought within a season."""
        within = min(SEASON_DAYS, float(self.after))
        came = np.flatnonzero(self.wait < within)
        days = self.wait[came] + 0.5
        constant = rules.learn_rules(self.journal, self.cut, int(within)).wait
        pair = self.curve.day_of(WHEN, horizon=within)[came], np.full(len(came), constant)
        metric = (("median absolute days", metrics.median_absolute, -1),)
        yield from self._lines("next purchase date", metric, days, "a constant", pair)

    def value(self, models: Models) -> Iterator[Line]:
        if models.worth is None:
            return
        days = min(self.after, LONGEST_VALUE)
        spent = spent_after(self.journal, self.state, days)
        pair = models.worth.ordered(self.state, self.curve, days), rules.goes_on(self.state, days)
        yield from self._lines(f"ordered in {days} days", MONEY, spent, "goes on as before", pair)

    def coverage(self, models: Models) -> Mapping[str, float]:
        """Return the share of outcomes inside intervals that promise 80 %."""
        found: dict[str, float] = {}
        within = min(SEASON_DAYS, float(self.after))
        came = self.wait < within
        low, high = (self.curve.day_of(share, horizon=within) for share in (0.1, 0.9))
        found["next purchase date, of those who bought"] = float(
            ((self.wait + 0.5 >= low) & (self.wait + 0.5 <= high))[came].mean()
        )
        if models.worth is not None and models.certainty is not None and len(models.certainty.least):
            expected = models.worth.ordered(self.state, self.curve, int(within))
            least, most = models.certainty.of_money(expected)
            spent = spent_after(self.journal, self.state, int(within))
            found["what is ordered"] = float(((spent >= least) & (spent <= most)).mean())
        return found

    def _lines(
        self,
        what: str,
        wanted: tuple[tuple[str, Metric, int], ...],
        truth: FloatArray,
        rule: str,
        pair: tuple[FloatArray, FloatArray],
    ) -> Iterator[Line]:
        for name, metric, better in wanted:
            found = metrics.compared(metric, truth, pair, better=better, seed=self.seed)
            yield Line(what, name, len(truth), rule, found)


def table(lines: tuple[Line, ...]) -> list[str]:
    """Return the lines as a person reads them."""
    head = f"{'what':22} {'metric':21} {'model [95 %]':>26} {'rule':>9}  {'difference [95 %]':>28}  {'the rule'}"
    rows = [head]
    for line in lines:
        f = line.found
        model = f"{_short(f.model)} [{_short(f.model_low)}, {_short(f.model_high)}]"
        difference = f"{_short(f.difference, '+')} [{_short(f.low, '+')}, {_short(f.high, '+')}]"
        rows.append(
            f"{line.what:22} {line.metric:21} {model:>26} {_short(f.rule):>9}  {difference:>28}  "
            f"{line.rule}: {f.clearly}"
        )
    return rows


def _short(value: float, sign: str = "") -> str:
    return format(value, f"{sign},.0f" if abs(value) >= 100 else f"{sign}.1f" if abs(value) >= 10 else f"{sign}.3f")
