"""`make bench`: what a decision costs, as ratios inside one run.

Absolute numbers belong to the machine; ratios travel.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from decision.errors import EncoreError
from decision.wiring import utc_now
from experiments.bench.serving.bench import Bench
from experiments.bench.serving.decision_path import decision_path
from experiments.bench.serving.machine import machine
from experiments.bench.serving.report import Findings, Report, Settings
from experiments.bench.serving.steady import steady
from experiments.bench.serving.table import table

DEFAULT_JSON = Path(".encore/bench/serving.json")
SECTIONS: dict[str, Callable[[Bench], Findings]] = {
    "decision": decision_path,
    "steady": steady,
}


def run(bench: Bench, sections: Sequence[str]) -> Report:
    """Return what the named sections found, one after the other."""
    about = machine(bench.folder)
    findings = {}
    for name in sections:
        bench.tell(f"{name}:")
        findings[name] = SECTIONS[name](bench)
    return Report(at=utc_now(), settings=bench.settings, machine=about, findings=findings)


@click.command()
@click.option("--seconds", default=3.0, show_default=True, help="Length of each measurement.")
@click.option("--rounds", default=5, show_default=True, help="Rounds over everything that is compared.")
@click.option("--connections", default=16, show_default=True, help="Keep-alive connections of the load.")
@click.option("--workers", default=2, show_default=True, help="Processes of each server.")
@click.option("--threads", default=4, show_default=True, help="Threads of each process.")
@click.option("--rate", default=300.0, show_default=True, help="Questions a second in open loops.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Some sections; all by default.")
@click.option(
    "--json",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_JSON,
    show_default=True,
    help="Where the report is kept, with the servers' logs; the ledgers that are measured lie on the same disk.",
)
def main(path: Path, only: Sequence[str], **how: float) -> None:
    """Measure what a decision costs. Exit code 1 when a decision was lost or refused."""
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    bench = Bench(msgspec.convert(how, Settings), path.resolve().parent, click.echo)
    try:
        report = run(bench, only or tuple(SECTIONS))
    except EncoreError as error:
        raise click.ClickException(str(error)) from None
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    click.echo("\n" + table(report))
    if not report.sound:
        sys.exit(1)


if __name__ == "__main__":
    # A plain SIGTERM would leave the servers running: end through the same door as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
