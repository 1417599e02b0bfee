"""`encore ab plan` and `encore ab analyse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from decision.wiring import Home, utc_now

if TYPE_CHECKING:
    from experiments.ab.asked import Asked

_CASE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def ab() -> None:
    """Plan and analyse A/B tests: of this programme against its holdout, and of any table of units."""


@ab.command()
@click.argument("case_path", metavar="CASE", type=_CASE)
@click.option("--history", type=_FILE, help="Past units (CSV or Parquet); else the file that the case names.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_context
def plan(ctx: click.Context, case_path: Path, history: Path | None, as_json: bool) -> None:
    """Say what a test can find, and when: its own variance, its traffic, each kind of plan.

    CASE is a TOML file with a table [planning]. Its metrics are measured on past units, which need no arms.

    \b
    Exit code: 0 it can answer in time (or nothing says by when), 1 it can't, 2 an error.
    """
    from experiments.ab.as_json import json_of_plan
    from experiments.ab.case_source import case_for_planning
    from experiments.ab.planning_table import outlooks_of

    found = outlooks_of(*case_for_planning(case_path, history))
    for line in [json_of_plan(found)] if as_json else found.lines():
        click.echo(line)
    if found.in_time is False:
        ctx.exit(1)


@ab.command()
@click.argument("case_path", metavar="[CASE]", type=_CASE, required=False)
@click.option("--file", type=_FILE, help="The units (CSV or Parquet), instead of the file that the case names.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--report", "page", type=_OUT, help="Write a page with plots (.html) that holds all it shows.")
@click.option("--log", is_flag=True, help="Keep figures, page and plots as a run of MLflow.")
@click.option("--publish", is_flag=True, help="Let the service answer with it: GET /v1/experiments/ID.")
@click.option("--id", "name", metavar="ID", help="The id it is published under.  [default: the name of the case]")
@click.pass_context
def analyse(
    ctx: click.Context,
    case_path: Path | None,
    *,
    file: Path | None,
    as_json: bool,
    page: Path | None,
    log: bool,
    publish: bool,
    name: str | None,
) -> None:
    """Say what a test found: soundness first, then effects as the plan lets them be read, and money.

    CASE is a TOML file that says what is compared and how it is read. Without one, this programme is compared with its
    holdout and with business as usual, valid at any look, by the metrics of programme.toml; --json, --report and --log
    are of the holdout.

    \b
    encore ab analyse case.toml --report spring.html --log --publish

    \b
    Exit code: 0 sound, and to be read; 1 not sound, too early or not enough data; 2 an error.
    """
    from experiments.ab.as_json import json_text
    from experiments.ab.asked import analysed_case, analysed_programme
    from experiments.ab.case_file import PROGRAMME_CASE
    from experiments.ab.published import require_free, whole

    home: Home = ctx.obj
    if case_path is None and file is None:
        asked = analysed_programme(home, name, now=utc_now(), tell=_tell)
    else:
        asked = analysed_case(home, case_path or PROGRAMME_CASE, file, name, now=utc_now(), tell=_tell)
    found, actions = asked.analysis, asked.actions
    text = "\n".join(asked.lines(home.programme().currency if actions else ""))
    entries = json_text(whole(asked.head, found, actions))
    click.echo(entries if as_json else text)
    if publish:
        if not asked.is_programme:
            require_free(asked.head.id)
        for one in asked.each:
            home.results.publish(one.head, whole(one.head, one.analysis, one.actions))
            click.echo(f"Published as {one.head.id}, see GET /v1/experiments/{one.head.id}.", err=True)
    if page is not None or log:
        _keep(home, asked, (text, entries), page=page, log=log)
    if found is None or not found.clear:
        ctx.exit(1)


def _keep(home: Home, asked: Asked, said: tuple[str, str], *, page: Path | None, log: bool) -> None:
    """Write the page, and log the run, where asked for; where they are is told beside the result."""
    from experiments.ab.evidence import evidence_of
    from experiments.ab.page import page as parts_of
    from experiments.ab.pictures import pictures_of
    from experiments.pages import html_of, write_page

    found = asked.analysis
    if found is None or asked.units is None:
        click.echo("Nobody is measured yet: there is nothing to report or to log.", err=True)
        return
    evidence = evidence_of(
        found,
        asked.units,
        actions=asked.actions,
        case_text=asked.text,
        known_after_days=asked.known_after_days,
        tell=_tell,
    )
    _tell("drawing")
    pictures = pictures_of(found, evidence)
    html = html_of(parts_of(found, evidence, pictures), made_at=utc_now())
    if page is not None:
        write_page(page, html)
        click.echo(f"Report of {found.case.name} in {page}.", err=True)
    if log:
        from experiments.ab.tracked import Written, experiment_of, log_analysis

        run_id = log_analysis(found, evidence, pictures, Written(html, *said), experiment=experiment_of(home))
        click.echo(f"MLflow run {run_id}, with the page and its plots; see `encore mlflow`.", err=True)


def _tell(step: str) -> None:
    click.echo(f"… {step}", err=True)
