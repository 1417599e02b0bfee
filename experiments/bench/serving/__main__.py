"""`make bench`: what a decision costs, and everybody's features and predictions, as ratios inside one run.

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
from decision.limits import AT_ONCE
from decision.wiring import utc_now
from experiments.bench.features.section import features
from experiments.bench.scored.section import scored
from experiments.bench.serving.bench import Bench
from experiments.bench.serving.decision_path import decision_path
from experiments.bench.serving.extent import Extent
from experiments.bench.serving.footprint import footprint
from experiments.bench.serving.growth import growth
from experiments.bench.serving.machine import machine
from experiments.bench.serving.report import Findings, Report, Settings
from experiments.bench.serving.scoring import scoring
from experiments.bench.serving.steady import steady
from experiments.bench.serving.table import table

# What --quick does instead of the defaults: about a minute.
QUICK = {"seconds": 1.0, "rounds": 2}
QUICK_EXTENT = Extent(peers=False, install=False, past=20_000, customers=(1_000, 10_000))
CUSTOMERS = (1_000, 100_000, 1_000_000)
DEFAULT_JSON = Path(".encore/bench/serving.json")
SECTIONS: dict[str, Callable[[Bench, Extent], Findings]] = {
    "decision": lambda bench, extent: decision_path(bench),
    "steady": lambda bench, extent: steady(bench),
    "scoring": lambda bench, extent: scoring(bench, install=extent.peers),
    "footprint": lambda bench, extent: footprint(bench, install=extent.install),
    "growth": lambda bench, extent: growth(bench, customers=extent.customers, past=extent.past),
    "features": lambda bench, extent: features(bench, customers=extent.customers[-1]),
    "scored": lambda bench, extent: scored(bench, customers=extent.customers[-1]),
}


def run(bench: Bench, sections: Sequence[str], extent: Extent) -> Report:
    """Return what the named sections found, one after the other."""
    about = machine(bench.folder)
    findings = {}
    for name in sections:
        bench.tell(f"{name}:")
        findings[name] = SECTIONS[name](bench, extent)
    return Report(at=utc_now(), settings=bench.settings, machine=about, findings=findings)


@click.command()
@click.option("--seconds", default=3.0, show_default=True, help="Length of each measurement.")
@click.option("--rounds", default=5, show_default=True, help="Rounds over everything that is compared.")
@click.option("--connections", default=16, show_default=True, help="Keep-alive connections of the load.")
@click.option("--workers", default=2, show_default=True, help="Processes of each server.")
@click.option("--threads", default=AT_ONCE, show_default=True, help="Threads of each process.")
@click.option("--rate", default=100.0, show_default=True, help="Questions a second in open loops.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Some sections; all by default.")
@click.option("--quick", is_flag=True, help="Everything small, in about a minute: shows that it runs.")
@click.option("--peers", is_flag=True, help="Install MLServer and BentoML into environments of their own.")
@click.option("--past", default=1_000_000, show_default=True, help="Past decisions in the largest ledger, ~5 KB each.")
@click.option(
    "--json",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_JSON,
    show_default=True,
    help="Where the report is kept, with the servers' logs; the ledgers that are measured lie on the same disk.",
)
def main(path: Path, only: Sequence[str], quick: bool, **how: float) -> None:
    """Measure what a decision costs. Exit code 1 when a decision was lost or refused."""
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    extent = Extent(peers=bool(how.pop("peers")), install=True, past=int(how.pop("past")), customers=CUSTOMERS)
    settings = msgspec.convert(how | (QUICK if quick else {}), Settings)
    bench = Bench(settings, path.resolve().parent, click.echo)
    try:
        report = run(bench, only or tuple(SECTIONS), QUICK_EXTENT if quick else extent)
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
