"""Offline commands: train, evaluate, promote, simulate, mlflow. Heavy libraries load when a command runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from decision.bundle.manifest import POLICIES
from decision.cli import PORT
from decision.flow.promotion import champion_version
from decision.wiring import Home, system_user, utc_now

if TYPE_CHECKING:
    from experiments.evaluate import Evaluation

T = TypeVar("T")


def _tell(step: str) -> None:
    click.echo(f"… {step}", err=True)


def _progress(label: str, items: Iterable[T]) -> Iterable[T]:
    import sys

    with click.progressbar(items, label=label, file=sys.stderr) as bar:
        yield from bar


def _learners(text: str) -> tuple[str, ...]:
    """Return the learners that a text names. Raises `click.BadParameter` for one that there isn't."""
    from experiments.learners import LEARNERS, USUAL

    if text in ("usual", "all"):
        return tuple(USUAL if text == "usual" else LEARNERS)
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in LEARNERS]
    if unknown:
        raise click.BadParameter(f"expected usual, all or some of {', '.join(LEARNERS)}; found {unknown[0]!r}.")
    return names


@click.command()
@click.option("--seed", default=1, show_default=True, help="Fixes folds, models and draws.")
@click.option(
    "--folds", default=3, type=click.IntRange(2), show_default=True, help="Folds of customers for out-of-sample values."
)
@click.option(
    "--repeats",
    default=2,
    type=click.IntRange(1),
    show_default=True,
    help="Cross-fitting is repeated over so many seeds.",
)
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="thompson",
    show_default=True,
    help="How the bundle chooses: thompson explores by belief, the others are contrasts; greedy_uplift learns nothing.",
)
@click.option(
    "--learners",
    default="usual",
    show_default=True,
    callback=lambda _context, _option, text: _learners(text),
    help="usual, all, or names with commas between them: what to choose from.",
)
@click.pass_obj
def train(home: Home, *, seed: int, folds: int, repeats: int, policy: str, learners: tuple[str, ...]) -> None:
    """Fit the learners, choose one by out-of-sample money, write a policy bundle and register it in MLflow."""
    from experiments.challenger import Settings
    from experiments.learners import LEARNERS
    from experiments.train import train

    candidates = {name: LEARNERS[name] for name in learners}
    trained = train(home, Settings(seed, folds, repeats, policy), now=utc_now(), learners=candidates, tell=_tell)
    currency = home.programme().currency
    click.echo(f"{'learner':24} {'value per decision':>20}   95 % interval, {currency}, out of fold")
    for c in sorted(trained.challenger.candidates, key=lambda c: -c.mean if not c.failure else float("inf")):
        if c.failure:
            click.echo(f"{c.name:24} {'-':>20}   {c.failure}")
        else:
            low, high = c.mean - 1.96 * c.standard_error, c.mean + 1.96 * c.standard_error
            click.echo(f"{c.name:24} {c.mean:20.4f}   [{low:.4f}, {high:.4f}]")
    click.echo(f"chosen: {trained.challenger.chosen.name}, because {trained.challenger.because}.")
    if trained.observational:
        click.echo(
            f"{trained.observational:,} of {trained.rows:,} decisions are observational: estimated propensities. "
            "The gate judges without them."
        )
    if trained.certainty is not None:
        click.echo(trained.certainty.sentence)
    click.echo(
        f"bundle {trained.bundle.version} from {trained.rows:,} decisions; MLflow run {trained.run_id}, "
        f"registered version {trained.model_version} (challenger)."
    )


@click.command()
@click.argument("version", required=False)
@click.pass_obj
def evaluate(home: Home, version: str | None) -> None:
    """Judge a bundle (the newest by default) off-policy, beside the champion and constant policies."""
    from experiments.evaluate import evaluate

    found = evaluate(home, version, now=utc_now(), progress=lambda rows: _progress("evaluating", rows))
    _show(home, found)


@click.command()
@click.argument("version", required=False)
@click.option("--min-gain", default=0.0, show_default=True, help="What the lower bound of the gain must exceed.")
@click.option("--force", metavar="REASON", help="Promote against the gate, with a reason for the record.")
@click.pass_context
def promote(ctx: click.Context, version: str | None, min_gain: float, force: str | None) -> None:
    """Promote a bundle (the newest by default) if it passes the gate; a running service follows at once.

    Exit code 1 when the gate refuses.
    """
    from experiments.evaluate import evaluate, newest, promote_through_gate
    from experiments.off_policy import GateRules

    if force is not None and not force.strip():
        raise click.BadParameter("Expected a reason for the record, found none.", param_hint="--force")
    home: Home = ctx.obj
    version = version or newest(home)
    if version == champion_version(home.ledger()):
        click.echo(f"{version} serves already.")
        return
    rules = GateRules(min_gain=min_gain)
    now = utc_now()
    found = evaluate(home, version, now=now, rules=rules, progress=lambda rows: _progress("evaluating", rows))
    _show(home, found)
    if promote_through_gate(home, found, forced=force, now=now, actor=system_user()):
        click.echo(f"{found.challenger} serves now.")
    else:
        click.echo("Not promoted.")
        ctx.exit(1)


def _show(home: Home, found: Evaluation) -> None:
    currency = home.programme().currency
    click.echo(f"challenger {found.challenger}, champion {found.champion}, {found.rows:,} decisions held out")
    click.echo(f"{'policy':34} {'DR':>9} {'95 % interval':>22} {'IPS':>9} {'SNIPS':>9} {'ESS':>8}   {currency}")
    for name, by in sorted(found.values.items(), key=lambda item: -item[1]["dr"].value):
        dr = by["dr"]
        interval = f"[{dr.low:.4f}, {dr.high:.4f}]"
        click.echo(
            f"{name:34} {dr.value:9.4f} {interval:>22} {by['ips'].value:9.4f} {by['snips'].value:9.4f} "
            f"{dr.effective_sample_size:8.0f}"
        )
    for sentence in found.verdict.sentences():
        click.echo(sentence)


@click.command("mlflow")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5000, type=PORT, show_default=True, help="Port to listen on.")
def mlflow_ui(host: str, port: int) -> None:
    """Open MLflow's pages on the runs in ./mlruns (or $MLFLOW_TRACKING_URI)."""
    import os

    from experiments.mlflow_server import command, environment

    arguments = command(host, port)
    os.execvpe(arguments[0], arguments, environment())


@click.command()
@click.option("--seeds", default=5, type=click.IntRange(1), show_default=True, help="Independent shops.")
@click.option("--days", default=60, show_default=True, help="Days of the simulation, after the trial.")
@click.option("--customers", default=20_000, show_default=True, help="Customers of each shop.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(".encore/simulation"), show_default=True)
@click.option("--budget", is_flag=True, help="Only show what pacing keeps of a scarce budget; takes seconds.")
def simulate(seeds: int, days: int, customers: int, out: Path, budget: bool) -> None:
    """Run the closed loop in simulated shops whose truth is known, and show that it learns and paces budgets."""
    from experiments.budget_report import simulate_budgets
    from experiments.simulate import Plan
    from experiments.simulate_report import simulate

    names = tuple(range(1, seeds + 1))
    if not budget:
        for line in simulate(Plan(seeds=names, days=days, customers=customers), out=out, tell=_tell):
            click.echo(line)
    for line in simulate_budgets(names, customers=customers, out=out):
        click.echo(line)
