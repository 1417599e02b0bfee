"""`encore shadow`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from decision.wiring import Home, utc_now

if TYPE_CHECKING:
    from decision.ledger.base import Rewarded


@click.command()
@click.argument("version", required=False)
@click.option(
    "--days", default=90, type=click.IntRange(1), show_default=True, help="How far back to look at decisions."
)
@click.pass_obj
def shadow(home: Home, version: str | None, days: int) -> None:
    """Show what a bundle (the newest by default) would have done in the last days, and switch nothing on.

    Reports how often it would have done the same, who would get something else, and the estimated gain.
    """
    from experiments.shadow import shadow_of

    def progress(rows: Iterable[Rewarded]) -> Iterable[Rewarded]:
        with click.progressbar(rows, label="replaying", file=sys.stderr) as bar:
            yield from bar

    name, found = shadow_of(home, version, now=utc_now(), days=days, progress=progress)
    click.echo(f"challenger {name}, the last {days} days")
    for sentence in found.sentences():
        click.echo(sentence)
