"""`encore report programme`: the page that a marketer opens first."""

from __future__ import annotations

from pathlib import Path

import click

from decision.wiring import Home, utc_now

PAGE = "programme.html"


@click.command("programme")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.pass_obj
def report_programme(home: Home, out: Path | None) -> None:
    """Write what Encore earns to OUT (.html), `programme.html` of the home unless given, and for GET /v1/experiments.

    Encore is measured against its holdout and against business as usual, with intervals that hold whenever and however
    often they are looked at. Let a job of every night run it.

    \b
    encore report programme
    encore --home shop report programme /srv/pages/programme.html
    """
    from experiments.live.headline import headline_of
    from experiments.live.run import report

    path = out or home.root / PAGE
    found = report(home, path, now=utc_now(), tell=lambda step: click.echo(f"… {step}", err=True))
    click.echo(headline_of(found))
    click.echo(f"Report of the programme in {path}.")
