"""`make bench`: the full durable decision against an endpoint that decides nothing, interleaved, on one server.

Absolute numbers belong to the machine; the ratio travels.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from decision.errors import EncoreError
from decision.flow.keys import create_key
from decision.ledger.sqlite import SqliteLedger
from decision.stages.keys import Role
from decision.wiring import Home, system_user, utc_now
from experiments.bench.load import Measured
from experiments.bench.machine import machine
from experiments.bench.measure import Meter
from experiments.bench.report import Report, Round, Settings, median, ratio, table, together
from experiments.bench.servers import running
from experiments.bench.world import write_home

WARM_UP_SECONDS = 1.0
DEFAULT_JSON = Path(".encore/bench/serving.json")


@dataclass(frozen=True, slots=True)
class Meters:
    """A meter for each endpoint."""

    noop: Meter
    decision: Meter

    @property
    def measured(self) -> list[Measured]:
        """Return everything that came back from either."""
        return [*self.noop.measured, *self.decision.measured]


def bench(settings: Settings, *, folder: Path) -> Report:
    """Return a run. The ledger lives in a temporary folder inside `folder`, the servers' logs stay there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="home-") as temporary:
        about = machine(folder)
        home = write_home(Path(temporary))
        with closing(home.ledger()) as ledger:
            key = create_key("bench", role=Role.CHECKOUT, ledger=ledger, actor=system_user(), now=utc_now())
        empty = _checkpointed_bytes(home)
        # The no-op gets the same key, byte for byte the same requests, and looks at none of it.
        noop, decision = (Meter(connections=settings.connections, key=key) for _ in range(2))
        meters = Meters(noop, decision)
        rounds = _interleaved(meters, settings, home=home, logs=folder)
        acknowledged = [decision_id for each in meters.decision.measured for decision_id in each.acknowledged]
        held = _held(home)
        return Report(
            at=utc_now(),
            settings=settings,
            machine=about,
            noop=median(each.noop for each in rounds),
            decision=median(each.decision for each in rounds),
            ratio=ratio(rounds),
            rounds=tuple(rounds),
            errors=together(each.errors for each in meters.measured),
            acknowledged=len(acknowledged),
            lost=len(set(acknowledged) - held),
            bytes_per_decision=(_checkpointed_bytes(home) - empty) / max(len(held), 1),
            client_busy=max(each.busy for each in meters.measured),
        )


def _interleaved(meters: Meters, settings: Settings, *, home: Home, logs: Path) -> Sequence[Round]:
    """Return the rounds, no-op first and decision second, after both servers are warm."""
    size = ("--workers", str(settings.workers), "--threads", str(settings.threads))
    # A closed loop keeps the server full: how long each waits is what is measured, and none may be let off.
    encore = ("--home", str(home.root), "serve", *size, "--deadline", "10000", "--waiting", str(settings.connections))
    with (
        running("experiments.bench.noop", *size, log=logs / "noop.log") as noop,
        running("decision.cli", *encore, log=logs / "decision.log") as decision,
    ):

        def one_after_the_other(seconds: float) -> Round:
            return Round(
                noop=meters.noop.measure(noop, seconds=seconds),
                decision=meters.decision.measure(decision, seconds=seconds),
            )

        one_after_the_other(min(WARM_UP_SECONDS, settings.seconds))
        return [one_after_the_other(settings.seconds) for _ in range(settings.rounds)]


def _held(home: Home) -> set[str]:
    with closing(SqliteLedger(home.ledger_path)) as ledger:
        return {row["decision_id"] for row in ledger.rows("decisions")}


def _checkpointed_bytes(home: Home) -> int:
    """Return the size of the ledger once all of it is in its main file."""
    with closing(sqlite3.connect(home.ledger_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return home.ledger_path.stat().st_size


@click.command()
@click.option("--seconds", default=4.0, show_default=True, help="Length of each measurement; there are two a round.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of no-op and decision.")
@click.option("--connections", default=16, show_default=True, help="Keep-alive connections of the load.")
@click.option("--workers", default=2, show_default=True, help="Processes of each server.")
@click.option("--threads", default=4, show_default=True, help="Threads of each process.")
@click.option(
    "--json",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_JSON,
    show_default=True,
    help="Where the report is kept, with the servers' logs; the ledger that is measured lies on the same disk.",
)
def main(*, seconds: float, rounds: int, connections: int, workers: int, threads: int, path: Path) -> None:
    """Measure decisions per second beside a no-op endpoint. Exit code 1 when a decision was lost or refused."""
    try:
        report = bench(Settings(seconds, rounds, connections, workers, threads), folder=path.resolve().parent)
    except EncoreError as error:
        raise click.ClickException(str(error)) from None
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    click.echo(table(report))
    if not report.sound:
        sys.exit(1)


if __name__ == "__main__":
    # A plain SIGTERM would leave the servers running: end through the same door as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
