"""`encore export`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from decision.programme.section import unknown_name
from decision.wiring import Home, utc_now
from experiments.exporting.export import export_ledger
from experiments.exporting.sources import TABLES, Snapshot
from experiments.exporting.writers import WRITERS


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(tuple(WRITERS)), default="parquet", show_default=True)
@click.option("--tables", default=",".join(TABLES), show_default=True, help="Which tables, with commas between them.")
@click.pass_obj
def export(home: Home, folder: Path, form: str, tables: str) -> None:
    """Write the ledger to a new folder DIR as flat files, with a README.txt that describes every column.

    The files are enough to recompute any figure without Encore.
    """
    names = tuple(dict.fromkeys(name.strip() for name in tables.split(",")))
    for name in names:
        if name not in TABLES:
            raise unknown_name("table", name, TABLES, pointer="--tables")
    programme, ledger = home.programme(), home.ledger()
    snapshot = Snapshot.of(ledger)
    with click.progressbar(length=sum(map(snapshot.length, names)), label="Export", file=sys.stderr) as bar:
        written = export_ledger(
            folder,
            ledger=ledger,
            snapshot=snapshot,
            programme=programme,
            programme_path=home.programme_path,
            form=form,
            tables=names,
            now=utc_now(),
            advance=bar.update,
        )
    for name, n in written.items():
        click.echo(f"{folder / name}.{form}: {n:,} rows")
