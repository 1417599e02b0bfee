"""The live report: measured, published for the service, and written as a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from decision.wiring import Home
from experiments.live.findings import Findings, findings
from experiments.live.page import page_of
from experiments.live.published import publish
from experiments.pages import write_page


def report(home: Home, path: Path, *, now: datetime, tell: Callable[[str], None] = lambda _: None) -> Findings:
    """Measure the programme in a home, publish its analyses, and write the page."""
    found = findings(home.ledger(), home.programme(), now=now, tell=tell)
    publish(found, home.results)
    write_page(path, page_of(found, tell=tell))
    return found
