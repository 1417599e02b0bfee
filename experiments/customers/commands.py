"""`encore customers score`, `encore segments`, `encore report`. Heavy libraries load when a command runs."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from decision.errors import InvalidInput, NotFound, counted
from decision.wiring import Home, utc_now
from experiments.behaviour.commands import FOLDER, customers, history_of
from experiments.live.commands import report_programme

if TYPE_CHECKING:
    from experiments.behaviour.models import Models
    from experiments.customers.run import Before, Scored
    from experiments.history.tables import History

__all__ = ["customers", "report", "segments"]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_DAY = click.DateTime(["%Y-%m-%d"])
_MAPPING = click.option(
    "--mapping", type=_FILE, help="TOML: which column of FILE says what, as `encore import orders` takes it."
)
_LINES = click.option("--lines", type=_FILE, help="Order lines in Parquet, as `experiments.history` has them.")
_VERSION = click.option("--models", "version", help="Models of `encore customers train`; the newest unless given.")
_AS_OF = click.option(
    "--as-of", type=_DAY, help="The day at whose beginning it is foretold; today, or the day after FILE's last order."
)


@customers.command()
@click.argument("out", type=_OUT)
@click.argument("file", type=_FILE, required=False)
@_MAPPING
@_LINES
@_AS_OF
@_VERSION
@click.option(
    "--write/--no-write",
    default=None,
    help="Keep predictions where decisions, rules and the API look them up.",
    show_default="of the ledger's customers yes, of a file's no",
)
@click.option("--before", "earlier", type=_FILE, help="What an earlier run has written: who has moved since?")
@click.pass_obj
def score(
    home: Home,
    out: Path,
    *,
    file: Path | None,
    mapping: Path | None,
    lines: Path | None,
    as_of: datetime | None,
    version: str | None,
    write: bool | None,
    earlier: Path | None,
) -> None:
    """Predict everybody, to OUT (Parquet): who buys again, when and for how much, segments, and why.

    The customers are those in the ledger, or those of FILE (with --mapping). Only customers whom the ledger knows are
    kept in it, and a run replaces the one before.

    \b
    encore customers train
    encore customers score customers.parquet
    encore customers score them.parquet orders.csv --mapping mapping.toml --no-write
    """
    from experiments.customers.run import before_in_ledger, before_in_parquet, run_of, write_parquet
    from experiments.customers.run import keep as keep_them

    found = _scored(home, _read(home, file, mapping, lines), as_of, version, ledger=not (file or lines))
    write_parquet(found, out)
    keep = write if write is not None else not (file or lines)
    ledger = home.ledger() if keep else None
    before: Before = {}
    if earlier is not None:
        before = before_in_parquet(earlier)
    elif ledger is not None:
        before = before_in_ledger(ledger.people.segments())
    previous = ledger.people.run() if ledger is not None and earlier is None else None
    currency = home.programme().currency
    run = run_of(found, before, made_at=utc_now(), currency=currency, previous=previous)
    for verdict in found.predictions.verdicts:
        if not verdict.enough:
            click.echo(verdict.sentence())
    for segment in run.segments:
        if segment.size:
            click.echo(f"{segment.size:>12,}  {segment.share:>6.1%}  {segment.name:<20} {segment.meaning}")
    if ledger is not None:
        with click.progressbar(length=run.customers, label="keeping", file=sys.stderr) as bar:
            kept = keep_them(ledger.people, found, run, advance=bar.update)
        strangers = run.customers - kept
        click.echo(
            f"Kept {counted(kept, 'customer')} in {home.ledger_path}"
            + (f"; {counted(strangers, 'customer')} the ledger does not know." if strangers else ".")
        )
    click.echo(
        f"{counted(run.customers, 'customer')} as of {found.predictions.as_of} by models {run.version}, in {out}."
    )


def _read(home: Home, file: Path | None, mapping: Path | None, lines: Path | None) -> History:
    if lines is None:
        return history_of(home, file, mapping)
    if file is not None:
        raise InvalidInput("Expected FILE or --lines, found both.")
    from experiments.customers.lines import history_of_lines

    return history_of_lines(lines)


def _scored(home: Home, history: History, as_of: datetime | None, version: str | None, *, ledger: bool) -> Scored:
    import pyarrow.compute as pc

    from experiments.behaviour.journal import date_of, day_of
    from experiments.behaviour.models import score as predict
    from experiments.customers.run import scored

    models = _models(home, version)
    if as_of is not None:
        day = day_of(as_of.date())
        if day < models.cut:
            raise InvalidInput(
                f"Expected models that know nothing from {as_of.date()} on, found {models.version}, which have learned "
                f"from all before {date_of(models.cut)}.",
                hint="Train on what was known then: encore customers train --as-of DAY.",
            )
    elif ledger:
        day = max(models.cut, day_of(utc_now().astimezone(home.programme().timezone).date()))
    else:
        last = pc.max(history.order_lines["at"]).as_py()
        day = models.cut if last is None else max(models.cut, day_of(last.date()) + 1)
    total = pc.count_distinct(history.order_lines["customer_id"]).as_py()
    with click.progressbar(length=total, label="predicting", file=sys.stderr) as bar:
        predictions = predict(models, history, day, advance=bar.update)
        bar.update(total)
    return scored(predictions, models, day)


def _models(home: Home, version: str | None) -> Models:
    from experiments.behaviour import store

    root = home.root / FOLDER
    return store.newest(root) if version is None else store.read(root, version)


@click.group(invoke_without_command=True)
@click.pass_context
def segments(context: click.Context) -> None:
    """RFM segments and cells of the grid of the last run: how many are in each, what it means, who belongs to it."""
    if context.invoked_subcommand is not None:
        return
    home: Home = context.obj
    run = home.ledger().people.run()
    if run is None:
        raise NotFound("Expected a run over everybody, found none.", hint="Run `encore customers score OUT`.")
    for kind in dict.fromkeys(segment.kind for segment in run.segments):
        click.echo(f"{kind}, {counted(run.customers, 'customer')} as of {run.as_of:%Y-%m-%d %H:%M} UTC")
        for segment in run.segments:
            if segment.kind == kind:
                about = f"{segment.meaning} ({segment.rule})"
                click.echo(f"{segment.size:>12,}  {segment.share:>6.1%}  {segment.name:<20} {about}")
    for verdict in run.verdicts:
        if not verdict.enough:
            click.echo(f"{verdict.model}: {verdict.why} Used instead: {verdict.rule}.")


@segments.command("export")
@click.argument("name")
@click.argument("out", type=_OUT)
@click.pass_obj
def export_segment(home: Home, name: str, out: Path) -> None:
    """Write the customers of segment NAME with their predictions to OUT: .csv, .parquet or .ndjson by its ending.

    \b
    encore segments export at_risk at_risk.csv
    encore segments export likely-leaving remind.ndjson
    """
    from experiments.customers.members import kind_of, write_members

    people = home.ledger().people
    kind = kind_of(name)
    run = people.run()
    size = 0 if run is None else next((s.size for s in run.segments if (s.kind, s.name) == (kind, name)), 0)
    with click.progressbar(length=size, label=name, file=sys.stderr) as bar:
        written = write_members(people, kind, name, out, advance=bar.update)
    click.echo(f"{counted(written, 'customer')} of {name} in {out}.")


@click.group()
def report() -> None:
    """Pages for people: one file each, to open in a browser or to send on."""


report.add_command(report_programme)


@report.command("customers")
@click.argument("out", type=_OUT)
@click.argument("file", type=_FILE, required=False)
@_MAPPING
@_LINES
@_AS_OF
@_VERSION
@click.pass_obj
def report_customers(
    home: Home,
    out: Path,
    *,
    file: Path | None,
    mapping: Path | None,
    lines: Path | None,
    as_of: datetime | None,
    version: str | None,
) -> None:
    """Write what is known and foretold of customers to OUT (.html): who comes, who is slipping away, who is who.

    The page holds all it shows; it names no customer. The customers are those in the ledger, or those of FILE (with
    --mapping).

    \b
    encore customers train
    encore report customers customers.html
    """
    from experiments.customers.findings import STEPS, findings
    from experiments.customers.page import page_of
    from experiments.pages import write_page

    history = _read(home, file, mapping, lines)
    found = _scored(home, history, as_of, version, ledger=not (file or lines))
    with click.progressbar(length=STEPS, label="drawing", file=sys.stderr) as bar:
        page = page_of(findings(found, history, home.programme(), advance=bar.update), made_at=utc_now())
    write_page(out, page)
    click.echo(f"Report of {counted(found.predictions.table.num_rows, 'customer')} in {out}.")
