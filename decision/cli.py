"""The `encore` command. Offline commands (train, evaluate, …) come from the entry points `encore.commands`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from decision import __version__, server
from decision.errors import EncoreError, InvalidProgramme, NotFound, counted
from decision.flow.learn import learn as learn_once
from decision.flow.pace import pace
from decision.flow.promotion import champion_version
from decision.flow.promotion import rollback as roll_back
from decision.flow.rank import learn_ranks
from decision.flow.retain import retain, sayable
from decision.flow.sweep import sweep
from decision.inbox_commands import inbox
from decision.keeping_commands import backup, customer, forget, restore, retention
from decision.key_commands import audit, keys
from decision.ledger.backup import copy
from decision.ledger.base import Act, Ledger
from decision.ledger.migrations import missing
from decision.ledger.sqlite import SqliteLedger
from decision.limits import (
    AT_ONCE,
    DEADLINE_MS,
    DEADLINE_VARIABLE,
    WAITING,
    WAITING_VARIABLE,
    Limits,
    to_environment,
)
from decision.programme.read import command
from decision.programme.template import write_template
from decision.rank_commands import ranks
from decision.stages.keys import Keyring
from decision.watching import logs, places
from decision.webhook_commands import webhooks
from decision.wiring import LEARNERS_ROUND, Home, system_user, utc_now

log = logging.getLogger("encore")
OFFLINE = "encore.commands"
OFFLINE_PACKAGES = frozenset(
    "causalml duckdb ibis implicit lightgbm matplotlib mlflow pandas pyarrow scipy sklearn statsmodels".split()
)
FOLLOWERS = "encore.on_champion_change"
PORT = click.IntRange(1, 65_535)


def _logged(service: Callable[..., None]) -> Callable[..., None]:
    """Give a command that runs on and on the options of its log, and set that up before it starts."""

    @click.option(
        "--log-format",
        type=click.Choice(logs.FORMATS),
        default="auto",
        envvar=logs.FORMAT_VARIABLE,
        show_default="text on a terminal, else json",
        help="How lines on standard error look.",
    )
    @click.option(
        "--log-level",
        type=click.Choice(logs.LEVELS),
        default="info",
        envvar=logs.LEVEL_VARIABLE,
        show_default=True,
        help="From which level on there are lines; requests are info.",
    )
    @wraps(service)
    def logged(*arguments: Any, log_format: str, log_level: str, **options: Any) -> None:
        # Workers find it in their environment.
        os.environ |= {logs.FORMAT_VARIABLE: log_format, logs.LEVEL_VARIABLE: log_level}
        logs.set_up(logs.Form.of(log_format, log_level))
        service(*arguments, **options)

    return logged


class Commands(click.Group):
    """Own commands and those of the offline rooms; an Encore error becomes a sentence and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *(point.name for point in entry_points(group=OFFLINE))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading it from its entry point where it is an offline one."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for point in entry_points(group=OFFLINE, name=cmd_name):
            command = point.load()
            assert isinstance(command, click.Command)
            return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except InvalidProgramme as error:
            for problem in error.problems:
                click.echo(problem, err=True)
            click.echo(f"{counted(len(error.problems), 'mistake')} in {error.path}.", err=True)
        except EncoreError as error:
            click.echo(f"encore: {error}", err=True)
        except ModuleNotFoundError as error:
            if error.name not in OFFLINE_PACKAGES:
                raise
            click.echo(f"encore: this command needs {error.name}: pip install 'encore[offline]'", err=True)
        ctx.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="encore")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    envvar="ENCORE_HOME",
    show_default="this folder, or $ENCORE_HOME",
    help="Folder of the shop: programme.toml, ledger.db, bundles/.",
)
@click.pass_context
def main(ctx: click.Context, home: Path) -> None:
    """Encore decides which incentive a customer gets after a purchase or a return, and learns from what follows.

    \b
    A new shop, step by step:
      encore init                 write a commented programme.toml
      encore check                explain every mistake in it
      encore import trial …       past randomised trials become training data
      encore train                fit candidates, log them to MLflow, write a policy bundle
      encore evaluate             off-policy evaluation against the champion and constant policies
      encore promote              through the gate
      encore keys create …        a key for whoever calls the service
      encore serve                answer decisions over HTTP
      encore learn                mature rewards, update the bandit
      encore webhooks …           other systems deliver e-mails, SMS and pushes
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    ctx.obj = Home(home)


@main.command()
@click.pass_obj
def init(home: Home) -> None:
    """Write a commented programme.toml and an empty ledger."""
    write_template(home.programme_path)
    home.ledger()
    click.echo(f"Wrote {home.programme_path}. Edit it, then run `{command('check', home.root)}`.")


@main.command()
@click.pass_obj
def upgrade(home: Home) -> None:
    """Bring the ledger up to date after a newer Encore was installed; harmless when it is.

    The ledger of before is kept beside it until you delete it.
    """
    if not home.ledger_path.exists():
        hint = f"Run `{command('init', home.root)}`."
        raise NotFound(f"Expected a ledger at {home.ledger_path}, found none.", hint=hint)
    steps = missing(home.ledger_path)
    if steps:
        kept = home.ledger_path.with_name(f"ledger.before-{steps[0]}.{utc_now():%Y%m%dT%H%M%S}.db")
        copy(home.ledger_path, kept)
        click.echo(f"{counted(len(steps), 'step')} to make; the ledger of before is kept in {kept}.")
    ledger = SqliteLedger.create(home.ledger_path)
    if steps:
        ledger.record_act(Act(utc_now(), system_user(), "upgrade", {"steps": ", ".join(steps)}))
    click.echo(f"{home.ledger_path} is up to date.")


@main.command()
@click.pass_obj
def check(home: Home) -> None:
    """Explain every mistake in programme.toml, one a line with its place. Exit code 2 if there are any."""
    programme = home.programme()
    click.echo(
        f"{programme.name}: {counted(len(programme.offers), 'offer')}, "
        f"{counted(len(programme.channels), 'channel')}, {len(programme.actions)} actions with control, "
        f"{counted(len(programme.stores), 'store')}. No mistakes."
    )
    for budget in programme.budgets:
        given = "to whoever comes first" if not budget.paced else f"paced over the {budget.period}"
        click.echo(f"budget {budget.name}: {given}")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, type=PORT, show_default=True, help="Port to listen on.")
@click.option("--workers", default=2, type=click.IntRange(1), show_default=True, help="Processes.")
@click.option(
    "--threads",
    default=AT_ONCE,
    type=click.IntRange(1),
    show_default=True,
    help="Requests that each process works on at once.",
)
@click.option(
    "--waiting",
    default=WAITING,
    type=click.IntRange(0),
    envvar=WAITING_VARIABLE,
    show_envvar=True,
    show_default=True,
    help="Further requests that may wait in each process, no longer than the deadline. The next are answered 503 with "
    "Retry-After, at once: a queue that grows helps no till.",
)
@click.option(
    "--deadline",
    default=DEADLINE_MS,
    type=click.FloatRange(1.0, 60_000.0),
    envvar=DEADLINE_VARIABLE,
    show_envvar=True,
    show_default=True,
    help="Milliseconds a decision may take. One that waits longer, for the disk or for other writers, answers "
    "`control` with the reason `deadline` and holds nothing. Stay below the timeout of your checkout.",
)
@click.pass_obj
@_logged
def serve(home: Home, *, host: str, port: int, workers: int, threads: int, waiting: int, deadline: float) -> None:
    """Answer decisions over HTTP. Promotions, rollbacks and new beliefs are picked up within a second."""
    home.programme()
    keyring = Keyring(home.ledger().api_keys())
    address = server.address_for(host, port)
    os.environ["ENCORE_HOME"] = str(home.root.resolve())
    limits = Limits(deadline_seconds=deadline / 1000, at_once=threads, waiting=waiting)
    to_environment(limits)
    metrics = places.prepared(places.folder_of(home.root))
    places.clear(metrics)
    facts = {"version": __version__, "host": host, "port": port, "workers": workers, "metrics": str(metrics)}
    log.info("serving", extra={"facts": facts})
    click.echo(f"Serving {home.root} at http://{host}:{port} (docs at /docs)")
    if not keyring:
        hint = command("keys create NAME --role checkout", home.root)
        click.echo(f"Nobody has a key yet, so that only health is answered. Create one: {hint}")
    try:
        server.run(
            "decision.api.app:from_environment", host=address, port=port, workers=workers, threads=limits.threads
        )
    finally:
        # Memory is given back; another server of this home keeps what it counts.
        places.clear(metrics)


@main.command()
@click.option("--once", is_flag=True, help="One round, then stop.")
@click.option("--every", default=30.0, show_default=True, help="Seconds between rounds.")
@click.pass_obj
@_logged
def learn(home: Home, once: bool, every: float) -> None:
    """Mature rewards, release budgets of expired offers, price scarce ones, and update the bandit."""
    home.programme()
    ledger = home.ledger()
    if not once:
        log.info("learning", extra={"facts": {"version": __version__, "every_seconds": every}})
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while True:
        try:
            done = _round(home, ledger)
            if done and once:
                click.echo(", ".join(done))
            elif done:
                log.info("%s", ", ".join(done))
        except EncoreError as error:
            if once:
                raise
            # A typing mistake in the programme must not end the learning: the next round may do.
            log.error("skipped a round: %s", error)
        if once or stop.wait(every):
            return


def _round(home: Home, ledger: Ledger) -> list[str]:
    with home.learning():
        return _mature_and_learn(home, ledger)


def _mature_and_learn(home: Home, ledger: Ledger) -> list[str]:
    """Return what a round has done, in words; nothing where there was nothing to do."""
    programme, now = home.programme(), utc_now()
    done = []
    swept = sweep(programme=programme, ledger=ledger, now=now)
    pace(programme=programme, ledger=ledger, now=now)
    if version := champion_version(ledger):
        learned = learn_once(home.bundles.read(version), programme=programme, ledger=ledger, now=now)
        if learned.outcomes or learned.replayed:
            done.append(f"learned {counted(learned.outcomes, 'outcome')} of {counted(learned.buckets, 'day')}")
    if swept.rewards or swept.expired:
        done += [counted(swept.rewards, "reward"), f"{counted(swept.expired, 'offer')} expired"]
    if taught := learn_ranks(settings=programme.ranking, ranks=ledger.ranks, now=now):
        done.append(f"learned {counted(taught, 'ranked event')}")
    if removed := retain(path=home.ledger_path, ledger=ledger, programme=programme, now=now):
        done.append(f"removed {sayable(removed)} past their limit")
    ledger.move_cursor(LEARNERS_ROUND, int(utc_now().timestamp()))
    return done


@main.command()
@click.pass_obj
def policy(home: Home) -> None:
    """Show what serves now, and every promotion and rollback before it."""
    ledger = home.ledger()
    for promotion in ledger.promotions():
        click.echo(
            f"{promotion.at:%Y-%m-%d %H:%M:%S} {promotion.kind:8} {promotion.bundle_version}  {promotion.reason}"
        )
    click.echo(f"serving: {champion_version(ledger) or 'business as usual'}")


@main.command()
@click.option("--reason", required=True, help="Why, for the record.")
@click.pass_obj
def rollback(home: Home, reason: str) -> None:
    """Make what served before the present champion serve again, at once: a champion, or business as usual."""
    version = roll_back(bundles=home.bundles, ledger=home.ledger(), reason=reason, now=utc_now(), actor=system_user())
    click.echo(f"{version or 'Business as usual'} serves again.")
    for point in entry_points(group=FOLLOWERS):
        try:
            point.load()(home, version)
        except Exception as error:
            # The ledger has it and servers follow: what only keeps a record must not make the rollback look failed.
            click.echo(f"{point.name} did not follow: {' '.join(str(error).split())}", err=True)


for shared in (keys, audit, backup, restore, forget, customer, retention, inbox, ranks, webhooks):
    main.add_command(shared)


if __name__ == "__main__":
    sys.exit(main())
