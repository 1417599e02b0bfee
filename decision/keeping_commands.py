"""`encore backup`, `encore restore`: what an operator does so that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import click

from decision.errors import counted
from decision.flow import backup as keeping
from decision.wiring import Home, utc_now

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=FILE)
@click.pass_obj
def backup(home: Home, file: Path) -> None:
    """Write programme, ledger and bundles to FILE (a tar), as they are now; the service goes on serving."""
    with click.progressbar(length=1, label="copying the ledger", hidden=not _is_large(home.ledger_path)) as bar:

        def progress(done: int, pages: int) -> None:
            bar.length = pages
            bar.update(done - bar.pos)

        contents = keeping.backup(home.root, file, now=utc_now(), progress=progress)
    click.echo(f"Wrote {counted(len(contents.sha256), 'file')} to {file}.")


@click.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Put a folder that is there already aside, under another name.")
@click.pass_obj
def restore(home: Home, file: Path, replace: bool) -> None:
    """Make the folder of --home anew from FILE, after checking every byte of it; whole, or not at all."""
    aside = keeping.restore(file, home.root, now=utc_now(), replace=replace)
    if aside is not None:
        click.echo(f"What was there is kept in {aside}.")
    click.echo(f"Restored {home.root} from {file}.")


def _is_large(ledger: Path) -> bool:
    return ledger.exists() and ledger.stat().st_size > 100_000_000
