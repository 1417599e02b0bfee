"""`encore features`: the catalogue, and the table of features as of a moment."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from decision.errors import InvalidInput, LedgerError
from decision.locks import FileLock
from decision.wiring import Home, utc_now
from experiments.features.catalogue import catalogue, version_of
from experiments.features.feature import Feature
from experiments.whole_file import whole_file

if TYPE_CHECKING:
    from experiments.history.tables import History

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object a feature.")
@click.pass_context
def features(context: click.Context, as_json: bool) -> None:
    """What is known of a customer's behaviour: the catalogue of features, with units and the meaning of null."""
    if context.invoked_subcommand is not None:
        return
    hers = catalogue(_channels(context.obj))
    if as_json:
        click.echo(json.dumps([_described(feature) for feature in hers], indent=2))
        return
    width = max(len(feature.name) for feature in hers)
    for feature in hers:
        null = "" if feature.null == "never" else f" Null: {feature.null}."
        click.echo(f"{feature.name:<{width}}  {feature.description} [{feature.unit}]{null}")
    click.echo(f"\n{len(hers)} features, version {version_of(hers)}")


def _channels(home: Home) -> tuple[str, ...]:
    """Return the programme's channels; the catalogue can be read without a programme."""
    from experiments.features.reach import CHANNELS

    return tuple(home.programme().channels) if home.programme_path.exists() else CHANNELS


def _described(feature: Feature) -> dict[str, str]:
    return {
        "name": feature.name,
        "description": feature.description,
        "unit": feature.unit,
        "null": feature.null,
        "kind": feature.kind,
    }


@features.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--orders", "file", type=_FILE, help="A file of order lines instead of the ledger (with --mapping).")
@click.option("--mapping", type=_FILE, help="TOML: which column says what, as for `encore import orders`.")
@click.option("--as-of", "as_of", metavar="TIME", help="What was known strictly before (ISO 8601); now unless given.")
@click.option("--moments", type=_FILE, help="CSV or Parquet with customer_id and as_of: a row of features for each.")
@click.pass_obj
def compute(
    home: Home, out: Path, *, file: Path | None, mapping: Path | None, as_of: str | None, moments: Path | None
) -> None:
    """Write everybody's features as of a moment to OUT (.parquet), from the ledger or from a file of orders.

    \b
    encore features compute customers.parquet
    encore features compute then.parquet --as-of 2026-09-01 --orders orders.csv --mapping mapping.toml
    encore features compute training.parquet --moments snapshots.csv
    """
    from experiments.features.compute import Engine
    from experiments.features.sources import Everybody, When

    if (file is None) != (mapping is None):
        raise InvalidInput("Expected --orders and --mapping together, found one of them.")
    if as_of is not None and moments is not None:
        raise InvalidInput("Expected --as-of or --moments, found both.")
    now = utc_now()
    moment = now if as_of is None else _time(as_of, home)
    history = _of_ledger(home) if file is None or mapping is None else _of_file(home, file, mapping, now)
    engine = Engine.start()
    when: When = Everybody(moment) if moments is None else engine.moments(_moments(moments, home))
    hers = catalogue(_channels(home))
    with whole_file(out) as unfinished:
        rows = engine.write(engine.inputs(history), when, hers, unfinished)
    for reason, count in history.left_out.items():
        click.echo(f"{count:>12,}  left out: {reason}")
    click.echo(f"{history.order_lines.num_rows:>12,}  order lines")
    shown = "moments of their own" if moments is not None else f"{moment:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{rows:>12,}  rows of {len(hers)} features as of {shown}, version {version_of(hers)}")
    click.echo(f"Written to {out}.")


@features.command()
@click.option("--once", is_flag=True, help="Until there is no news, then stop.")
@click.option("--every", default=0.1, show_default=True, help="Seconds between looks at the ledger.")
@click.pass_obj
def follow(home: Home, once: bool, every: float) -> None:
    """Keep customers' values fresh where decisions look them up: those with a new event within a second, all daily.

    It runs beside `encore serve` and `encore learn`, one for each shop. The values that decisions see are named in
    programme.toml: [profile] values = ["recency_days"].
    """
    from experiments.features.follow import Follower

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _following(home):
        ledger = home.ledger()
        follower = Follower(home.ledger_path, ledger, catalogue(_channels(home)))
        while not stop.is_set():
            done = follower.round(now=utc_now())
            if done:
                click.echo(f"{done.news:,} customers with news, {done.old:,} whose values were a day old", err=True)
            elif once:
                return
            else:
                stop.wait(every)


@contextmanager
def _following(home: Home) -> Iterator[None]:
    """Keep other followers out. A killed one is out at once."""
    lock = FileLock(home.root / "features.lock")
    if not lock.acquire(patience=1.0):
        hint = "One `encore features follow` does all the work of a home."
        raise LedgerError(f"Expected nobody else to follow the ledger of {home.root}, found one at it.", hint=hint)
    try:
        yield
    finally:
        lock.release()


def _of_ledger(home: Home) -> History:
    from experiments.history.from_ledger import customers_in, history_of_ledger

    n = customers_in(home.ledger_path)
    with click.progressbar(length=n, label="Customers", file=sys.stderr) as bar:
        return history_of_ledger(home.ledger_path, advance=bar.update)


def _of_file(home: Home, file: Path, mapping_path: Path, now: datetime) -> History:
    from experiments.history.from_orders import Orders, history_of_orders
    from experiments.importing.orders_mapping import read_orders_mapping

    programme = home.programme()
    mapping, table = read_orders_mapping(mapping_path, file, programme)
    rejects = home.root / "rejects" / f"features-{mapping.name}.csv"
    with click.progressbar(length=table.length, label="Order lines", file=sys.stderr) as bar:
        return history_of_orders(Orders(table, mapping, programme), now=now, rejects_path=rejects, advance=bar.update)


def _time(text: str, home: Home) -> datetime:
    """Return a time in UTC; one without an offset is of the programme's time zone."""
    from experiments.importing.cells import Clock, Unusable

    try:
        return Clock(home.programme().timezone).read(text, "as_of")
    except Unusable:
        raise InvalidInput(f"Expected a time such as 2026-09-01 or 2026-09-01T10:00:00Z, found {text!r}.") from None


def _moments(path: Path, home: Home) -> list[tuple[str, datetime]]:
    from experiments.importing.cells import Clock, Unusable, category
    from experiments.importing.table import open_table

    table, clock = open_table(path), Clock(home.programme().timezone)
    if not {"customer_id", "as_of"} <= set(table.columns):
        raise InvalidInput(f"Expected columns customer_id and as_of in {path}, found {', '.join(table.columns)}.")
    hers, at = table.columns.index("customer_id"), table.columns.index("as_of")
    found = []
    for batch in table.batches():
        for number, row in batch.numbered():
            try:
                name = category(row[hers], "customer_id")
                found.append((name or "", clock.read(row[at], "as_of")))
            except (Unusable, IndexError) as error:
                raise InvalidInput(
                    f"Expected a customer and a time in row {number} of {path}, found {error}."
                ) from None
    return found
