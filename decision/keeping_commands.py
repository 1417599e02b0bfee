"""What an operator does so that nothing is lost, and a data-protection officer so that nothing is kept."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
import msgspec

from decision.errors import NotFound, counted
from decision.flow import backup as keeping
from decision.flow import forget as rights
from decision.flow.retain import sayable, would_go
from decision.ledger.forget import finish, scrub
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home, system_user, utc_now

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


@click.command()
@click.argument("customer")
@click.pass_obj
def forget(home: Home, customer: str) -> None:
    """Make everything about CUSTOMER anonymous for good, also while serving; the figures stay as they are."""
    path = home.ledger_path
    try:
        done = rights.forget(
            path,
            customer,
            programme=home.programme(),
            names=lambda: secrets.token_hex(16),
            actor=system_user(),
            now=utc_now(),
        )
    except NotFound:
        if not finish(path):
            raise
        click.echo("Nothing is held about that customer. An earlier `forget` is finished: old bytes are gone.")
        return
    click.echo(f"Forgot {counted(done.decisions, 'decision')} and {counted(done.events, 'event')}.")
    if not scrub(path, done):
        click.echo("Some of her ids also stand in rows of others, where they stay.")


@click.group()
def customer() -> None:
    """What is held about one person.

    \b
    export   everything, as JSON
    """


@customer.command()
@click.argument("customer")
@click.option("--out", type=FILE, help="File to write instead of the terminal.")
@click.pass_obj
def export(home: Home, customer: str, out: Path | None) -> None:
    """Write everything that is held about CUSTOMER as JSON."""
    held = rights.customer_export(home.ledger_path, customer)
    text = msgspec.json.format(msgspec.json.encode(held), indent=2).decode()
    if out is None:
        click.echo(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")


@click.command()
@click.pass_obj
def retention(home: Home) -> None:
    """Show what is past the limits of [retention]: `encore learn` removes it. Nothing is changed here."""
    SqliteLedger(home.ledger_path).close()
    found = would_go(path=home.ledger_path, programme=home.programme(), now=utc_now())
    click.echo(f"Past their limit: {sayable(found)}." if found else "Everything is kept for ever: no [retention].")


def _is_large(ledger: Path) -> bool:
    return ledger.exists() and ledger.stat().st_size > 100_000_000
