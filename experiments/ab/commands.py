"""`encore ab plan` and `encore ab analyse`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from decision.errors import NotEnoughData
from decision.wiring import Home, utc_now

if TYPE_CHECKING:
    from experiments.ab.case import Case
    from experiments.ab.units import Units

_CASE = click.Path(exists=True, dir_okay=False, path_type=Path)
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
@click.pass_context
def analyse(ctx: click.Context, case_path: Path | None, file: Path | None, as_json: bool) -> None:
    """Say what a test found: soundness first, then effects as the plan lets them be read, and money.

    CASE is a TOML file that says what is compared and how it is read. Without one, this programme is compared with its
    holdout, valid at any look.

    \b
    Exit code: 0 sound, and to be read; 1 not sound, too early or not enough data; 2 an error.
    """
    from experiments.ab.analyse import RANDOMISED, analyse
    from experiments.ab.as_json import json_of
    from experiments.ab.as_text import lines_of, lines_of_actions
    from experiments.ab.ledger_actions import action_effects
    from experiments.ab.ledger_units import CLAIM

    try:
        case, units = _opened(ctx.obj, case_path or _TEMPLATE, file)
    except NotEnoughData as error:
        click.echo(str(error))
        ctx.exit(1)
    ours = case.file is None
    found = analyse(case, units, claim=CLAIM if ours else RANDOMISED, tell=_tell)
    actions = action_effects(ctx.obj.ledger().rewarded(), case.plan) if ours else ()
    if as_json:
        click.echo(json_of(found, actions))
    else:
        for line in _lines(
            lines_of(found), lines_of_actions(actions, ctx.obj.programme().currency) if actions else iter(())
        ):
            click.echo(line)
    if not found.clear:
        ctx.exit(1)


def _opened(home: Home, case_path: Path, file: Path | None) -> tuple[Case, Units]:
    from experiments.ab.case_source import case_of_file, case_of_ledger, source_of

    named = file or source_of(case_path)
    if named is not None:
        return case_of_file(case_path, named)
    return case_of_ledger(case_path, home.ledger(), home.programme(), now=utc_now())


def _lines(*parts: Iterator[str]) -> Iterator[str]:
    for part in parts:
        yield from part


def _tell(step: str) -> None:
    click.echo(f"… {step}", err=True)
