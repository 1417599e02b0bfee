"""`make bench-customers ORDERS=…`: who buys again, when, and for how much; Encore beside its peers.

Everybody sees the order lines up to a cut, and is judged by what follows: who buys within 90 days, what is ordered in
the whole holdout, and the days until the next purchase of those who bought. Days with purchases count, returns do not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from decision.errors import EncoreError, NotEnoughData
from decision.programme.model import Programme
from decision.programme.read import load_programme
from decision.records import FloatArray
from decision.wiring import utc_now
from experiments.behaviour import enough, metrics
from experiments.behaviour.choice import fit_chosen
from experiments.behaviour.journal import Journal, date_of, day_of, journal_of
from experiments.behaviour.models import WHEN
from experiments.behaviour.state import first_purchase_after, spent_after, state_at
from experiments.behaviour.value import fit_worth
from experiments.bench.peers import customer_models as peers
from experiments.bench.peers.customer_models import HORIZON, Foretold, Peer
from experiments.history.from_orders import history_of_file

CASE = Path(__file__).parents[1] / "cases" / "online_retail"
OUT = Path("build/bench")
# Days before the end of the orders: in Online Retail 2011-06-12 and 2011-09-10.
BACK = (180, 90)
ENCORE = "Encore"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def encore(journal: Journal, cut: int, days: int) -> Foretold:
    """Foretell as `encore customers score` does."""
    model = fit_chosen(journal, cut, seed=1)
    worth = fit_worth(journal, cut, margin=1.0, seed=1)
    state = state_at(journal, cut)
    curve = model.curve(state)
    horizon = float(HORIZON)
    return Foretold(curve.within(horizon), worth.ordered(state, curve, days), curve.day_of(WHEN, horizon=horizon))


PEERS: Mapping[str, Peer] = {
    ENCORE: encore,
    "BG/NBD, gamma-gamma (our fit)": peers.bg_nbd,
    "GLM on 10 log-RFM columns": peers.glm,
    "LightGBM": peers.boosted,
    "Weibull AFT (our fit)": peers.weibull,
    "RFM score, goes on": peers.rfm_score,
    "silent > 2 x own gap": peers.silent,
}
# name, metric, which sign is better
CHANCE = (("AUC", metrics.auc, 1), ("log loss", metrics.log_loss, -1), ("ECE", metrics.ece, -1))
MONEY = (("Gini", metrics.normalised_gini, 1), ("MAE", metrics.mean_absolute, -1))
DATE = (("days", metrics.median_absolute, -1),)


class Figure(msgspec.Struct, frozen=True):
    """A peer's figure, and Encore's less it with a 95 % bootstrap interval over customers."""

    value: float
    difference: float
    low: float
    high: float
    clearly: str


class Row(msgspec.Struct, frozen=True):
    """One peer at one cut."""

    peer: str
    cut: str
    customers: int
    figures: dict[str, Figure]
    seconds: float


def compare(journal: Journal, cut_date: str) -> list[Row]:
    """Return everybody's figures at one cut. Raises `NotEnoughData` where Encore would predict by a rule."""
    cut = day_of(datetime.fromisoformat(cut_date).date()) + 1
    days = min(journal.last_day + 1 - cut, 180)
    if days < HORIZON:
        raise NotEnoughData(f"Expected {HORIZON} days after {cut_date} to judge by, found {max(days, 0)}.")
    state = state_at(journal, cut)
    there = enough.found_in(state, cut - journal.first_day)
    for verdict in (need.verdict(there) for need in (enough.REPURCHASE, enough.VALUE)):
        if not verdict.enough:
            raise NotEnoughData(f"{cut_date}: {verdict.sentence()}")
    wait = first_purchase_after(journal, state)
    came = wait < HORIZON
    truth = (came.astype(float), spent_after(journal, state, days), wait[came] + 0.5)
    told: dict[str, Foretold] = {}
    rows = []
    for name, peer in PEERS.items():
        begun = time.process_time()
        found = told[name] = peer(journal.before(cut), cut, days)
        seconds = time.process_time() - begun
        figures = _figures(truth, found, told[ENCORE], came)
        rows.append(Row(name, cut_date, len(state.customer), figures, seconds))
    return rows


def _figures(
    truth: tuple[FloatArray, FloatArray, FloatArray], found: Foretold, ours: Foretold, came: Any
) -> dict[str, Figure]:
    pairs: list[tuple[tuple[tuple[str, metrics.Metric, int], ...], FloatArray, FloatArray, FloatArray]]
    pairs = [(CHANCE, truth[0], ours.chance, found.chance)]
    if ours.money is not None and found.money is not None:
        pairs.append((MONEY, truth[1], ours.money, found.money))
    if ours.wait is not None and found.wait is not None:
        pairs.append((DATE, truth[2], ours.wait[came], found.wait[came]))
    figures = {}
    for wanted, what, our, their in pairs:
        for name, metric, better in wanted:
            c = metrics.compared(metric, what, (our, their), better=better, seed=1)
            figures[name] = Figure(c.rule, c.difference, c.low, c.high, c.clearly)
    return figures


def table(rows: list[Row]) -> list[str]:
    """Return the rows of one cut as a person reads them; + is Encore clearly better than that peer, - clearly worse."""
    names = [name for name, _, _ in (*CHANCE, *MONEY, *DATE)]
    lines = [f"{'':32}" + "".join(f"{name:>12}" for name in names) + "   CPU s"]
    marks = {"better": "+", "worse": "-", "undecided": " "}
    for row in rows:
        cells = []
        for name in names:
            figure = row.figures.get(name)
            if figure is None:
                cells.append(f"{'–':>11} ")
                continue
            digits = 0 if name == "MAE" else 1 if name == "days" else 4 if name in ("AUC", "log loss") else 3
            cells.append(f"{figure.value:11.{digits}f}{marks[figure.clearly]}")
        lines.append(f"{row.peer:32}" + "".join(cells) + f"{row.seconds:8.1f}")
    return lines


@click.command()
@click.option("--orders", type=_FILE, required=True, help="Order lines, such as UCI's Online Retail (Parquet or CSV).")
@click.option("--mapping", type=_FILE, default=CASE / "mapping.toml", help="Which column says what.")
@click.option("--programme", type=_FILE, default=CASE / "programme.toml", help="For currency and time zone.")
@click.option(
    "--cuts",
    default=None,
    show_default="180 and 90 days before the end",
    help="Last days that may be seen, with commas between them.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=OUT, show_default=True)
def main(*, orders: Path, mapping: Path, programme: Path, cuts: str | None, out: Path) -> None:
    """Compare predictions of customers: 95 % intervals of differences are in the JSON."""
    try:
        _run(orders, mapping, load_programme(programme), cuts, out)
    except EncoreError as error:
        raise click.ClickException(str(error)) from None


def _run(orders: Path, mapping: Path, shop: Programme, cuts: str | None, out: Path) -> None:
    click.echo(f"reading {orders.name} …", err=True)
    lines = history_of_file(orders, mapping, shop, now=utc_now()).order_lines
    journal = journal_of(lines, timezone=str(shop.timezone))
    cuts = cuts or ",".join(date_of(journal.last_day - back).isoformat() for back in BACK)
    rows = []
    for cut in cuts.split(","):
        found = compare(journal, cut.strip())
        click.echo(f"\ncut {cut}: {found[0].customers:,} customers")
        for line in table(found):
            click.echo(line)
        rows += found
    click.echo(
        "\nBuys in 90 days: AUC, log loss, ECE; ordered in the holdout: Gini, MAE; next purchase: median days off."
    )
    click.echo("+ (-): Encore is clearly better (worse) than that peer, by a 95 % bootstrap over customers.")
    out.mkdir(parents=True, exist_ok=True)
    name = f"customers-{orders.stem}-{hashlib.sha256(cuts.encode()).hexdigest()[:6]}"
    told = {"benchmark": "customers", "data_sha256": journal.sha256(), "rows": rows, "numpy": np.__version__}
    (out / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2))
    click.echo(f"figures with their intervals: {out / name}.json")


if __name__ == "__main__":
    main()
