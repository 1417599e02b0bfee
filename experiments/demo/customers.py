"""Gives the demo's customers predictions, and its marketer a report on them: in a process of its own, behind the shop.

A first answer doesn't wait for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from decision.errors import NotEnoughData
from decision.wiring import Home, utc_now
from experiments.demo.history import SEED

REPORT = "customers.html"


def command(home: Home) -> Sequence[str]:
    """Return the command that knows a shop's customers and says in its log what there is to tell."""
    return [sys.executable, "-m", "experiments.demo.customers", str(home.root)]


def know_customers(home: Home, *, now: datetime, seed: int) -> Iterator[str]:
    """Train on all that has happened, score everybody, write the report; yield what there is to tell.

    Models without enough data are not trained: the simulated past is short, and says so.
    """
    from experiments.behaviour import store
    from experiments.behaviour.commands import FOLDER
    from experiments.behaviour.journal import day_of
    from experiments.behaviour.models import Settings, fit, score
    from experiments.customers.findings import findings
    from experiments.customers.page import page_of
    from experiments.customers.run import keep, run_of, scored
    from experiments.history.from_ledger import history_of_ledger
    from experiments.live.commands import PAGE
    from experiments.live.headline import headline_of
    from experiments.live.run import report
    from experiments.pages import write_page

    yield f"{headline_of(report(home, home.root / PAGE, now=now))} See {PAGE}"
    programme, ledger = home.programme(), home.ledger()
    history = history_of_ledger(home.ledger_path)
    day = day_of(now.astimezone(programme.timezone).date())
    settings = Settings(seed, str(programme.timezone), float(programme.gross_margin))
    try:
        models = store.write(fit(history, day, settings), home.root / FOLDER)
    except NotEnoughData as error:
        yield str(error)
        return
    found = scored(score(models, history), models, day)
    kept = keep(ledger.people, found, run_of(found, {}, made_at=now, currency=programme.currency))
    yield f"{kept:,} customers in segments, see {REPORT}"
    yield from (verdict.sentence() for verdict in models.verdicts if not verdict.enough)
    page = page_of(findings(found, history, programme), made_at=now)
    write_page(home.root / REPORT, page)


def main(folder: str) -> None:
    """Know the customers of the shop in `folder`."""
    for sentence in know_customers(Home(Path(folder)), now=utc_now(), seed=SEED):
        print(sentence, flush=True)


if __name__ == "__main__":
    # Tills go first.
    os.nice(10)
    main(sys.argv[1])
