"""`make soak`: faults at random moments while tills go on asking, and a table of what became of their answers."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from decision.errors import EncoreError
from decision.limits import DEADLINE_MS
from experiments.faults.audit import Audit, audit
from experiments.faults.faults import FAULTS, NEED_SHIM, Fault
from experiments.faults.tills import Answer
from experiments.faults.world import World, tills, world

TILLS = 4
QUIET = "no fault"
# What the way there and back and a busy client may add to the server's own deadline.
ON_THE_WAY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """What to inject: each fault at least `rounds` times, in an order that the seed shuffles, for `seconds`."""

    faults: Mapping[str, Fault]
    seconds: float
    rounds: int
    seed: int
    deadline_ms: float = DEADLINE_MS
    pause_seconds: tuple[float, float] = (0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Window:
    """When a fault was there, until everything was back; monotonic seconds."""

    fault: str
    began: float
    over: float
    back: float


@dataclass(frozen=True, slots=True)
class Soaked:
    """What happened."""

    windows: tuple[Window, ...]
    answers: tuple[Answer, ...]
    audit: Audit
    deadline_seconds: float


def possible() -> Mapping[str, Fault]:
    """Return the faults that can be injected on this machine."""
    return FAULTS if shutil.which("cc") else {name: f for name, f in FAULTS.items() if f not in NEED_SHIM}


def soak(plan: Plan, *, folder: Path, tell: Callable[[str], None]) -> Soaked:
    """Inject the faults of a plan into a shop that is set up in `folder`, and return what happened.

    Raises
    ------
    EncoreError : the shop did not come back after a fault.
    """
    folder.mkdir(parents=True, exist_ok=True)
    windows: list[Window] = []
    with (
        world(folder, seed=plan.seed, deadline_ms=plan.deadline_ms) as shop,
        tills(shop, n=TILLS, seed=plan.seed) as asking,
    ):
        end = time.monotonic() + plan.seconds
        _pause(shop, plan)
        for place, name in enumerate(_schedule(plan, shop)):
            if place >= plan.rounds * len(plan.faults) and time.monotonic() > end:
                break
            began = time.monotonic()
            with plan.faults[name](shop):
                _pause(shop, plan)
                over = time.monotonic()
            shop.recover()
            shop.decide_again()
            windows.append(Window(name, began, over, time.monotonic()))
            tell(f"{name}: back after {windows[-1].back - over:.1f} s")
            _pause(shop, plan)
    answers = sorted([*asking.answers, *shop.till.answers], key=lambda a: a.at)
    found = audit(shop.home.ledger_path, answers, asking.orders)
    return Soaked(tuple(windows), tuple(answers), found, plan.deadline_ms / 1000)


def _pause(shop: World, plan: Plan) -> None:
    time.sleep(shop.random.uniform(*plan.pause_seconds))


def _schedule(plan: Plan, shop: World) -> Iterator[str]:
    while True:
        yield from shop.random.sample(list(plan.faults), len(plan.faults))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the fault table; counts of decisions, and the longest that it took to be back in seconds."""

    fault: str
    times: int
    asked: int
    made: int
    control: int
    turned_away: int
    no_answer: int
    in_time: int
    lost: int
    doubled: int
    back_seconds: float


def rows(of: Soaked) -> list[Row]:
    """Return the fault table: one row a fault, and one for what was asked while there was none."""
    names = list(dict.fromkeys(window.fault for window in of.windows))
    asked: dict[str, list[Answer]] = {name: [] for name in (*names, QUIET)}
    for answer in of.answers:
        told = answer.at + answer.seconds
        during = next((w.fault for w in of.windows if w.began <= told and answer.at <= w.back), QUIET)
        asked[during].append(answer)
    return [_row(name, answers, of) for name, answers in asked.items()]


def _row(name: str, answers: Sequence[Answer], of: Soaked) -> Row:
    ids = {answer.decision_id for answer in answers}
    orders = {f"o-{one}" for one in ids}
    windows = [window for window in of.windows if window.fault == name]
    kinds = [answer.kind for answer in answers]
    limit = of.deadline_seconds + ON_THE_WAY_SECONDS
    return Row(
        fault=name,
        times=len(windows),
        asked=len(answers),
        made=kinds.count("made"),
        control=kinds.count("control"),
        turned_away=kinds.count("shed") + kinds.count("refused"),
        no_answer=kinds.count("broken"),
        in_time=sum(a.seconds <= limit for a in answers if a.kind != "broken"),
        lost=len((ids | orders) & set(of.audit.lost)),
        doubled=len(ids & set(of.audit.doubled)),
        back_seconds=max((w.back - w.over for w in windows), default=0.0),
    )


def table(of: Soaked) -> str:
    """Return the fault table as text."""
    columns = ("fault", "times", "asked", "made", "control", "503", "no answer", "in time", "lost", "doubled", "back s")
    lines: list[tuple[str, ...]] = [columns]
    for row in rows(of):
        answered = row.asked - row.no_answer
        counts = (row.times, row.asked, row.made, row.control, row.turned_away, row.no_answer)
        share, back = f"{row.in_time / answered:.1%}" if answered else "-", f"{row.back_seconds:.1f}"
        lines.append((row.fault, *map(str, counts), share, str(row.lost), str(row.doubled), back))
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    text = []
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        text.append("  ".join([line[0].ljust(widths[0]), *cells[1:]]))
    limit = (of.deadline_seconds + ON_THE_WAY_SECONDS) * 1000
    text += [
        "",
        f"in time: of the answers, within {limit:.0f} ms at the till, for a deadline of "
        f"{of.deadline_seconds * 1000:.0f} ms",
        f"ledger: {'; '.join(of.audit.ledger) or 'sound, and budgets are the sums of their reservations'}",
    ]
    return "\n".join(text)


@click.command()
@click.option("--seconds", default=600.0, show_default=True, help="How long, once every fault has been injected.")
@click.option("--seed", default=1, show_default=True, help="Of the order and the moments of the faults.")
@click.option("--deadline", default=DEADLINE_MS, show_default=True, help="The server's, in milliseconds.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep ledger and logs here.")
def main(*, seconds: float, seed: int, deadline: float, folder: Path | None) -> None:
    """Inject faults into a serving shop and print the fault table. Exit code 1 when anything was lost or doubled."""
    faults = possible()
    for name in FAULTS.keys() - faults.keys():
        click.echo(f"left out, for want of a C compiler: {name}")
    with tempfile.TemporaryDirectory(prefix="encore-soak-") as temporary:
        plan = Plan(faults, seconds, rounds=1, seed=seed, deadline_ms=deadline)
        try:
            found = soak(plan, folder=folder or Path(temporary), tell=click.echo)
        except EncoreError as error:
            raise click.ClickException(str(error)) from None
    click.echo(table(found))
    if not found.audit.sound:
        click.echo(f"lost: {found.audit.lost}, doubled: {found.audit.doubled}")
        sys.exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
