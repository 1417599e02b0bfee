"""`encore customers evaluate` and `encore customers train`. Heavy libraries load when a command runs."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from decision.wiring import Home, utc_now

if TYPE_CHECKING:
    from experiments.behaviour.models import Models, Settings
    from experiments.history.tables import History

FOLDER = "predictions"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DAY = click.DateTime(["%Y-%m-%d"])
_SEED = click.option("--seed", default=1, show_default=True, help="Fixes draws and trees.")
_MAPPING = click.option(
    "--mapping", type=_FILE, help="TOML: which column of FILE says what, as `encore import orders` takes it."
)
_CLV_DAYS = click.option(
    "--clv-days", default=365, type=click.IntRange(30), show_default=True, help="Horizon of the lifetime value."
)


@click.group()
def customers() -> None:
    """What customers will do: who comes back, when, and for how much, each prediction with how sure it is."""


@customers.command()
@click.argument("file", type=_FILE, required=False)
@_MAPPING
@click.option("--cut", type=_DAY, required=True, help="The last day that models may see.")
@_CLV_DAYS
@_SEED
@click.pass_obj
def evaluate(home: Home, *, file: Path | None, mapping: Path | None, cut: datetime, clv_days: int, seed: int) -> None:
    """Predict as of a day in the past, and compare what came with simple rules.

    The orders are those of FILE (with --mapping), or those in the ledger. Differences have 95 % intervals by bootstrap
    over customers; everything is logged to MLflow.
    """
    from experiments.behaviour.evaluation import evaluate, table
    from experiments.behaviour.journal import day_of
    from experiments.behaviour.models import STEPS
    from experiments.behaviour.tracked import log_evaluation

    history, settings = history_of(home, file, mapping), _settings(home, clv_days, seed)
    with click.progressbar(length=STEPS, label="fitting", file=sys.stderr) as bar:
        found = evaluate(history, day_of(cut.date()) + 1, settings, advance=bar.update)
    _tell(found.models)
    click.echo(
        f"{len(found.state.customer):,} customers who had bought by {cut.date()}, judged by the {found.days_after:,} "
        "days after it"
    )
    for row in table(found.lines):
        click.echo(row)
    for name, share in found.coverage.items():
        click.echo(f"{100 * share:.0f} % of outcomes were inside the 80 % interval of {name}.")
    click.echo(f"MLflow run {log_evaluation(found, home.programme())}, with the calibration plot; see `encore mlflow`.")


@customers.command()
@click.argument("file", type=_FILE, required=False)
@_MAPPING
@click.option("--as-of", type=_DAY, help="The last day that is learned from; by default the last with an order.")
@_CLV_DAYS
@_SEED
@click.pass_obj
def train(
    home: Home, *, file: Path | None, mapping: Path | None, as_of: datetime | None, clv_days: int, seed: int
) -> None:
    """Fit on all that is known, and keep the models as arrays and JSON (nothing in them can run code).

    The orders are those of FILE (with --mapping), or those in the ledger.
    """
    from experiments.behaviour import store
    from experiments.behaviour.journal import day_of, journal_of
    from experiments.behaviour.models import STEPS, fit

    history, settings = history_of(home, file, mapping), _settings(home, clv_days, seed)
    last = day_of(as_of.date()) if as_of else journal_of(history.order_lines, timezone=settings.timezone).last_day
    with click.progressbar(length=STEPS, label="fitting", file=sys.stderr) as bar:
        models = fit(history, last + 1, settings, advance=bar.update)
    models = store.write(models, home.root / FOLDER)
    _tell(models)
    click.echo(f"models {models.version} in {home.root / FOLDER / models.version}")


def _settings(home: Home, clv_days: int, seed: int) -> Settings:
    from experiments.behaviour.models import Settings

    programme = home.programme()
    return Settings(seed, str(programme.timezone), float(programme.gross_margin), clv_days)


def history_of(home: Home, file: Path | None, mapping: Path | None) -> History:
    """Return the history in FILE under its mapping, or in the ledger, with a progress bar."""
    from experiments.history.from_ledger import customers_in, history_of_ledger
    from experiments.history.from_orders import Orders, history_of_orders
    from experiments.importing.orders_mapping import read_orders_mapping

    if (file is None) != (mapping is None):
        raise click.UsageError("Expected FILE together with --mapping, found one of them. Without both: the ledger.")
    if file is None or mapping is None:
        total = customers_in(home.ledger_path)
        with click.progressbar(length=total, label="reading the ledger", file=sys.stderr) as bar:
            return history_of_ledger(home.ledger_path, advance=bar.update)
    programme = home.programme()
    mapped, table = read_orders_mapping(mapping, file, programme)
    with click.progressbar(length=table.length, label="order lines", file=sys.stderr) as bar:
        history = history_of_orders(Orders(table, mapped, programme), now=utc_now(), advance=bar.update)
    for reason, count in history.left_out.items():
        click.echo(f"{count:>12,}  left out: {reason}")
    return history


def _tell(models: Models) -> None:
    for verdict in models.verdicts:
        if not verdict.enough:
            click.echo(verdict.sentence())
    if models.repurchase is not None:
        click.echo(models.repurchase.season.sentence())
        click.echo(models.repurchase.sentence())
    if models.second is not None:
        click.echo(models.second.sentence())
