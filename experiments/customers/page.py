"""Findings as one HTML page."""

from __future__ import annotations

from datetime import datetime

from experiments.customers.findings import Findings
from experiments.pages import Page, html_of

_HOW_SURE = (
    "Probabilities are of what customers do by themselves and with the offers of the past; what an offer adds is "
    "measured against the holdout."
)


def page_of(findings: Findings, *, made_at: datetime) -> str:
    """Return the page."""
    page = Page(
        title=f"Customers of {findings.shop}",
        about=findings.shop,
        headline=findings.headline,
        numbers=findings.numbers,
        sections=findings.sections,
        footer=f"{findings.made_of} {_HOW_SURE}",
    )
    return html_of(page, made_at=made_at)
