"""`encore ab plan` and `encore ab analyse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from decision.errors import NotEnoughData
from decision.wiring import Home, utc_now

if TYPE_CHECKING:
    from experiments.ab.analysis import Analysis
    from experiments.ab.case import Case
    from experiments.ab.evidence import Evidence
    from experiments.ab.units import Units

_CASE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TEMPLATE = Path(__file__).with_name("programme_case.toml")


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
@click.pass_context
def analyse(
    ctx: click.Context, case_path: Path | None, *, file: Path | None, as_json: bool, page: Path | None, log: bool
) -> None:
    """Say what a test found: soundness first, then effects as the plan lets them be read, and money.

    CASE is a TOML file that says what is compared and how it is read. Without one, this programme is compared with its
    holdout, valid at any look.

    \b
    encore ab analyse case.toml --report spring.html --log

    \b
    Exit code: 0 sound, and to be read; 1 not sound, too early or not enough data; 2 an error.
    """
    from experiments.ab.analyse import RANDOMISED, analyse
    from experiments.ab.as_json import json_of
    from experiments.ab.as_text import lines_of, lines_of_actions
    from experiments.ab.case_file import read_tables
    from experiments.ab.evidence import evidence_of
    from experiments.ab.ledger_actions import action_effects
    from experiments.ab.ledger_units import CLAIM

    try:
        case, units = _opened(ctx.obj, case_path or _TEMPLATE, file)
    except NotEnoughData as error:
        click.echo(str(error))
        ctx.exit(1)
    ours = case.file is None
    found = analyse(case, units, claim=CLAIM if ours else RANDOMISED, tell=_tell)
    actions = action_effects(ctx.obj.ledger().rewarded(), case.plan, case.correction) if ours else ()
    currency = ctx.obj.programme().currency if actions else ""
    lines = [*lines_of(found), *(lines_of_actions(actions, currency) if actions else ())]
    as_text = json_of(found, actions) if as_json else "\n".join(lines)
    click.echo(as_text)
    if page is not None or log:
        evidence = evidence_of(
            found,
            units,
            actions=actions,
            case_text=read_tables(case_path or _TEMPLATE)[0],
            known_after_days=_known_after(ctx.obj, case) if ours else 0.0,
            tell=_tell,
        )
        _keep(ctx.obj, found, evidence, lines, page=page, log=log)
    if not found.clear:
        ctx.exit(1)


def _opened(home: Home, case_path: Path, file: Path | None) -> tuple[Case, Units]:
    from experiments.ab.case_source import case_of_file, case_of_ledger, source_of

    named = file or source_of(case_path)
    if named is not None:
        return case_of_file(case_path, named)
    return case_of_ledger(case_path, home.ledger(), home.programme(), now=utc_now())


def _known_after(home: Home, case: Case) -> float:
    """Return how many days after her first decision a customer of the ledger counts."""
    programme = home.programme()
    windows = [metric.window_days for metric in case.metrics if metric.window_days]
    return max(windows, default=float(programme.attribution_window_days)) + programme.refund_window_days


def _keep(home: Home, found: Analysis, evidence: Evidence, lines: list[str], *, page: Path | None, log: bool) -> None:
    """Write the page, and log the run, where asked for; where they are is told beside the result."""
    from experiments.ab.page import page as parts_of
    from experiments.ab.pictures import pictures_of
    from experiments.pages import html_of, write_page

    _tell("drawing")
    pictures = pictures_of(found, evidence)
    html = html_of(parts_of(found, evidence, pictures), made_at=utc_now())
    if page is not None:
        write_page(page, html)
        click.echo(f"Report of {found.case.name} in {page}.", err=True)
    if log:
        from experiments.ab.tracked import Written, experiment_of, log_analysis

        run_id = log_analysis(found, evidence, pictures, Written(lines, html), experiment=experiment_of(home))
        click.echo(f"MLflow run {run_id}, with the page and its plots; see `encore mlflow`.", err=True)


def _tell(step: str) -> None:
    click.echo(f"… {step}", err=True)
