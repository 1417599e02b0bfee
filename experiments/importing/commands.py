"""`encore import trial` and `encore import orders`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from decision.wiring import Home, utc_now
from experiments.importing.observational import import_observational
from experiments.importing.orders import import_orders
from experiments.importing.orders_mapping import read_orders_mapping
from experiments.importing.trial import import_trial
from experiments.importing.trial_mapping import read_trial_mapping

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(name="import")
def import_() -> None:
    """Bring in what the shop already has: past trials and past orders."""


@import_.command()
@click.argument("file", type=_FILE)
@click.option("--mapping", "mapping_path", type=_FILE, required=True, help="TOML: which column says what.")
@click.option("--accept-srm", metavar="REASON", help="Import although the arm counts contradict the design.")
@click.pass_obj
def trial(home: Home, file: Path, mapping_path: Path, accept_srm: str | None) -> None:
    """A past randomised trial (CSV or Parquet, a customer a row) becomes decisions with known propensities.

    With propensity = "estimated" in the mapping it is a log that nobody randomised: models may learn from it, and it
    never judges. A second import of the same file changes nothing.
    """
    programme = home.programme()
    mapping, table = read_trial_mapping(mapping_path, file, programme)
    if mapping.estimated:
        path = home.root / "rejects" / f"observational-{mapping.name}.csv"
        seen = import_observational(
            table, mapping, programme=programme, ledger=home.ledger(), now=utc_now(), rejects_path=path
        )
        for sentence in seen.overlap.sentences():
            click.echo(sentence)
        _show("rows in the file", seen.rows, seen.new + seen.known, seen.rejected, seen.rejects_path)
        click.echo(f"observational decisions: {seen.new:,} new, {seen.known:,} already there")
        return
    with click.progressbar(length=2 * table.length, label="Trial", file=sys.stderr) as bar:
        receipt = import_trial(
            table,
            mapping,
            programme=programme,
            ledger=home.ledger(),
            now=utc_now(),
            rejects_path=home.root / "rejects" / f"trial-{mapping.name}.csv",
            accept_srm=accept_srm,
            advance=bar.update,
        )
    arms = receipt.arms
    for arm, action_id in mapping.actions.items():
        click.echo(f"{arm} -> {action_id}: {arms.found[arm]:,} rows, {arms.expected[arm]:,.1f} expected")
    verdict = f"MISMATCH, accepted: {accept_srm}" if arms.mismatch else "as designed"
    click.echo(f"sample ratio: p = {arms.p_value:.2g} ({verdict})")
    _show("rows in the file", receipt.rows, receipt.new + receipt.known, receipt.rejected, receipt.rejects_path)
    click.echo(f"decisions: {receipt.new:,} new, {receipt.known:,} already there")


@import_.command()
@click.argument("file", type=_FILE)
@click.option("--mapping", "mapping_path", type=_FILE, required=True, help="TOML: which column says what.")
@click.pass_obj
def orders(home: Home, file: Path, mapping_path: Path) -> None:
    """Past orders and returns (CSV or Parquet, an order line a row) become the customers' history.

    A second import of the same file changes nothing. Beside the columns, the mapping says how the file is written:

    \b
    [file]
    delimiter = ";"             # else ,
    encoding = "cp1252"         # what spreadsheets on Windows save; else utf-8
    decimal = ","               # 12,50; else .
    thousands = "."             # 1.234,50; else none
    [orders]
    time_format = "%d/%m/%Y"    # 31/12/2011; "excel" for 40908.5; else ISO 8601
    amounts_in = "cents"        # 1250 is 12.50; else units

    Lines that can't be used are written to a file of rejects, each with what was expected and found. docs/importing.md
    """
    programme = home.programme()
    mapping, table = read_orders_mapping(mapping_path, file, programme)
    with click.progressbar(length=table.length, label="Order lines", file=sys.stderr) as bar:
        receipt = import_orders(
            table,
            mapping,
            programme=programme,
            ledger=home.ledger(),
            now=utc_now(),
            rejects_path=home.root / "rejects" / f"orders-{mapping.name}.csv",
            advance=bar.update,
        )
    _show("lines in the file", receipt.lines, receipt.used, receipt.explained, receipt.rejects_path)
    click.echo(f"orders: {receipt.orders:,}, of them {receipt.new_orders:,} new")
    click.echo(f"returns: {receipt.returns:,}, of them {receipt.new_returns:,} new")
    click.echo(f"customers: {receipt.customers:,}")
    if receipt.times is not None:
        first, last = (at.astimezone(mapping.clock.timezone).date() for at in receipt.times)
        money = f"{receipt.median_order:,.2f} {programme.currency}"
        click.echo(f"orders from {first} to {last}, half of them of {money} or more")


def _show(what: str, total: int, used: int, rejected: Mapping[str, int], path: Path | None) -> None:
    """Print counts that add up: the total, what was used, and what was rejected for each reason."""
    click.echo(f"{total:>12,}  {what}")
    click.echo(f"{used:>12,}  used")
    for reason, count in rejected.items():
        click.echo(f"{count:>12,}  rejected: {reason}")
    if path is not None:
        click.echo(f"The rejected ones are in {path}.")
