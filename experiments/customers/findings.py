"""What the marketer's report says of the customers: sentences first, each with the picture or table it is from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from decision.errors import NotEnoughData
from decision.programme.model import Programme
from experiments.behaviour import grid, rfm
from experiments.behaviour.base_figures import FIGURES, SHARES, Spread, by_month, by_segment
from experiments.behaviour.enough import Verdict
from experiments.behaviour.journal import Journal, date_of, journal_of
from experiments.behaviour.models import origins, past_models
from experiments.behaviour.state import State, state_at
from experiments.behaviour.why import REASONS, effects, middle_of
from experiments.customers.run import Scored
from experiments.history.tables import History
from experiments.pages import Section, Table
from experiments.plots import customers as plots

MOVED_DAYS = 90
_HEADS = {
    "gap_days": "days between purchases",
    "basket": "an order",
    "purchases": "purchases",
    "clv": "expected margin",
    "return_rate": "sent back",
    "repeat_buyers": "bought again",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """All of a report: big numbers as (number, what it is), and the sections."""

    shop: str
    headline: str
    numbers: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    made_of: str


STEPS = 8


def findings(
    found: Scored, history: History, programme: Programme, *, advance: Callable[[int], None] = lambda _: None
) -> Findings:
    """Return what a run says, in words and pictures. `advance` is told of each of `STEPS` steps."""
    models, day = found.models, found.day
    known = history.known_before(found.as_of)
    journal = journal_of(known.order_lines, timezone=models.settings.timezone)
    state = state_at(journal, day)
    money = programme.currency
    advance(1)
    sections: list[Section] = []
    parts: tuple[Callable[[], list[Section]], ...] = (
        lambda: _grid(found, money),
        lambda: _rfm(found, state),
        lambda: _moved(found, journal, day),
        lambda: _second(found),
        lambda: _channels(found),
        lambda: _calibration(found, journal),
        lambda: [*_effects(found, state), *_base(found, journal, day, money), _thin(found)],
    )
    for part in parts:
        sections += part()
        advance(1)
    table = found.predictions.table
    n, again = table.num_rows, Spread.of_shares((state.purchases > 1).astype(float))
    expected = pc.sum(table["repurchase_90"]).as_py()
    numbers = [
        (f"{n:,}", "customers who have bought"),
        (_share(again.mean), f"have bought again [{_share(again.low)} to {_share(again.high)}]"),
        (_money(pc.sum(table["clv"]).as_py(), money), f"margin expected in {found.predictions.clv_days} days"),
    ]
    headline = f"{n:,} customers, seen at the beginning of {found.predictions.as_of:%-d %B %Y}"
    if expected is not None:
        numbers.insert(2, (f"{expected:,.0f}", "are expected to buy within 90 days"))
        headline = f"Of {n:,} customers, about {expected:,.0f} will buy within 90 days"
    return Findings(
        shop=programme.name,
        headline=headline,
        numbers=numbers,
        sections=sections,
        made_of=(
            f"Everything known before {found.predictions.as_of:%-d %B %Y}: {known.order_lines.num_rows:,} order lines, "
            f"{known.contacts.num_rows:,} contacts, {known.visits.num_rows:,} visits. "
            f"Models {found.predictions.version}, which have learned from what lay before {date_of(models.cut)}."
        ),
    )


def _grid(found: Scored, money: str) -> list[Section]:
    table = found.predictions.table
    cells = table["grid"].to_pylist()
    counts = grid.counts(cells)
    if found.models.repurchase is None:
        return [Section("Who comes by herself, and who is slipping away?", [_by_rule(found, "repurchase")])]
    worth = dict.fromkeys(grid.CELLS, 0.0)
    for cell, clv in zip(cells, table["clv"].to_pylist(), strict=True):
        worth[cell] += clv or 0.0
    sizes = dict(zip(grid.CELLS, counts.ravel().tolist(), strict=True))
    total = max(sum(sizes.values()), 1.0)
    slipping = [cell for cell in ("likely-slipping", "likely-leaving") if sizes[cell]]
    back = [cell for cell in ("unlikely-slipping", "unlikely-leaving") if sizes[cell]]
    sentences = [
        f"{sizes['likely-staying']:,.0f} customers ({_share(sizes['likely-staying'] / total)}) come by themselves: "
        "most of what is offered to them is given away."
    ]
    if slipping:
        who = sum(sizes[c] for c in slipping)
        sentences.append(
            f"{who:,.0f} are likely to buy and slipping away by their own habit: a reminder may be all they need. "
            f"{_money(sum(worth[c] for c in slipping), money)} of expected margin is theirs."
        )
    if back:
        who = sum(sizes[c] for c in back)
        sentences.append(f"{who:,.0f} are unlikely to buy and slipping or leaving: win back those whose offer pays.")
    return [Section("Who comes by herself, and who is slipping away?", sentences, plots.customer_grid(counts))]


def _rfm(found: Scored, state: State) -> list[Section]:
    table = found.predictions.table
    names = np.array(table["rfm"].to_pylist())
    clv = np.nan_to_num(table["clv"].to_numpy().astype(float))
    sizes = {name: int((names == name).sum()) for name in rfm.NAMES}
    largest = max(sizes, key=lambda name: sizes[name])
    best = clv[names == "champions"].sum() / max(clv.sum(), 1e-9)
    sentences = [
        f"The largest segment is {_plain(largest)}: {sizes[largest]:,} customers "
        f"({_share(sizes[largest] / max(len(names), 1))}).",
    ]
    if sizes["champions"]:
        sentences.append(
            f"Champions are {_share(sizes['champions'] / max(len(names), 1))} of customers and {_share(best)} of "
            "what is expected to be earned."
        )
    figure = plots.rfm_map(table["recency"].to_numpy(), table["frequency"].to_numpy(), state.spent)
    return [Section("Who is who?", sentences, figure, note="Days and purchases behind the steps: encore segments.")]


def _moved(found: Scored, journal: Journal, day: int) -> list[Section]:
    then = day - MOVED_DAYS
    title = f"Who moved in the last {MOVED_DAYS} days?"
    if then <= journal.first_day:
        return [Section(title, [f"Not enough data: the history is younger than {MOVED_DAYS} days."])]
    earlier = state_at(journal, then)
    before = {
        journal.names[place]: rfm.NAMES[segment]
        for place, segment in zip(
            earlier.customer.tolist(), rfm.rfm_of(earlier, found.models.thresholds).segment.tolist(), strict=True
        )
    }
    table = found.predictions.table
    now = dict(zip(table["customer_id"].to_pylist(), table["rfm"].to_pylist(), strict=True))
    rows, columns, counts = rfm.migration(before, now)
    sentences = []
    for name, gone, sentence in (
        ("champions", ("at_risk", "hibernating", "cannot_lose", "need_attention"), "of {n:,} champions have cooled"),
        ("new", ("champions", "loyal", "potential_loyalists"), "of {n:,} new customers have bought again since"),
    ):
        row = counts[list(rows).index(name)]
        n = int(row.sum())
        if n:
            moved = int(row[[list(columns).index(one) for one in gone]].sum())
            sentences.append(f"{moved:,} ({_share(moved / n)}) {sentence.format(n=n)}.")
    return [Section(title, sentences or ["Nobody was there before."], plots.rfm_migration(rows, columns, counts))]


def _second(found: Scored) -> list[Section]:
    title, second = "When does a second purchase come?", found.models.second
    if second is None:
        return [Section(title, [_by_rule(found, "second")])]
    late = pc.sum(found.predictions.table["late"]).as_py() or 0
    sentences = [
        f"A first-time buyer who returns is back by day {second.deadline} "
        f"[{second.deadline_low} to {second.deadline_high}] in four of five cases.",
        f"{late:,} first-time buyers are past that day: write to them now, or let them go.",
    ]
    return [Section(title, sentences, plots.second_purchase_curve(second))]


def _channels(found: Scored) -> list[Section]:
    title, response = "Which channel reaches them?", found.models.response
    if response is None:
        return [Section(title, [_by_rule(found, "channel")])]
    best = int(np.argmax(response.rate))
    rows = [
        [name, f"{n:,.0f}", _share(rate), f"{_share(low)} to {_share(high)}"]
        for name, n, rate, low, high in zip(
            response.channels, response.contacts, response.rate, response.low, response.high, strict=True
        )
    ]
    sentences = [
        f"After {_share(response.rate[best])} of contacts through {response.channels[best]} a purchase followed, more "
        "than through any other channel. Followed is not caused: the holdout says what contacts add.",
    ]
    return [Section(title, sentences, table=Table(("channel", "contacts", "followed by a purchase", "95 %"), rows))]


def _calibration(found: Scored, journal: Journal) -> list[Section]:
    title = "Do predictions come true?"
    if found.models.repurchase is None:
        return [Section(title, [_by_rule(found, "repurchase")])]
    cut, settings = min(found.models.cut, journal.last_day + 1), found.models.settings
    models = past_models(journal, cut, settings)
    past = dict(zip(models, origins(journal, models, found.models.repurchase.kept, settings), strict=True))
    if not past:
        return [Section(title, ["Not enough data: no moment in the past has 90 days after it and enough before it."])]
    named = {f"90 days, foretold {cut - day} days ago": (o.chance, o.bought) for day, o in past.items()}
    day, first = next(iter(past.items()))
    sentences = [
        f"{cut - day} days ago, models that knew nothing of what came foretold that {_share(first.chance.mean())} of "
        f"customers would buy; {_share(first.bought.mean())} did."
    ]
    return [Section(title, sentences, plots.customer_calibrations(named))]


def _effects(found: Scored, state: State) -> list[Section]:
    if found.models.repurchase is None:
        return []
    model = found.models.repurchase
    odds = np.exp(effects(model, state, middle_of(model, state)))
    ends = np.quantile(odds, (0.1, 0.9), axis=0).T
    ranked = sorted(
        zip((fact for *_, fact in REASONS), ends.tolist(), strict=True), key=lambda one: -one[1][1] / one[1][0]
    )
    sentences = [f"Most of all it depends on {ranked[0][0]}.", model.season.sentence()]
    rows = [[fact, f"× {low:.2f}", f"× {high:.2f}"] for fact, (low, high) in ranked]
    heads = ("depends on", "lowest tenth", "highest tenth")
    note = "What the odds of a purchase in a week are multiplied by for a tenth of customers, against the middle one."
    return [Section("What moves a purchase?", sentences, table=Table(heads, rows), note=note)]


def _base(found: Scored, journal: Journal, day: int, money: str) -> list[Section]:
    segments = by_segment(journal, found.predictions, day)
    everybody = segments["all"]
    rows = [
        [_plain(name), f"{figures['purchases'].n:,}", *(_spread(figure, figures[figure], money) for figure in FIGURES)]
        for name, figures in segments.items()
    ]
    months, series = by_month(journal, day)
    gap = everybody["gap_days"]
    sentences = [
        f"An order is worth {_money(everybody['basket'].mean, money)} on average; those who return wait "
        f"{gap.quarters[1]:.0f} days (the middle half {gap.quarters[0]:.0f} to {gap.quarters[2]:.0f})."
    ]
    return [
        Section(
            "Base figures by segment",
            sentences,
            table=Table(("segment", "customers", *(_HEADS[name] for name in FIGURES)), rows),
            note="Averages with their 95 % intervals. In the months below, the first and the last may be cut short.",
        ),
        *(
            Section(title, [], plots.figure_by_month(months, {name: series[name] for name in names}))
            for title, names in (
                ("Purchases month by month", list(series)[:3]),
                ("Returns and repeat buyers month by month", list(series)[3:]),
            )
        ),
    ]


def _thin(found: Scored) -> Section:
    missing = [_sentence(v) for v in found.predictions.verdicts if not v.enough]
    return Section("What had not enough data", missing or ["Every model had enough data."])


def _by_rule(found: Scored, word: str) -> str:
    for verdict in found.predictions.verdicts:
        if word in verdict.model and not verdict.enough:
            return _sentence(verdict)
    raise NotEnoughData(f"Expected a verdict on {word}, found none.")


def _sentence(verdict: Verdict) -> str:
    return verdict.sentence()[0].upper() + verdict.sentence()[1:]


def _spread(figure: str, spread: Spread, money: str) -> str:
    if not spread.n:
        return "–"
    if figure in SHARES:
        mean, low, high = (_share(x).removesuffix(" %") for x in (spread.mean, spread.low, spread.high))
        return f"{mean} [{low} to {high}] %"
    mean, half = _number(spread.mean), spread.mean - spread.low
    return f"{mean} ± {_number(half)}" if np.isfinite(half) else mean


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:,.1f}"


def _share(x: float) -> str:
    return f"{100 * x:.0f} %" if abs(x) >= 0.1 or x == 0 else f"{100 * x:.1f} %"


def _money(x: float | None, currency: str) -> str:
    return f"{x or 0.0:,.0f} {currency}"


def _plain(name: str) -> str:
    return name.replace("_", " ")
