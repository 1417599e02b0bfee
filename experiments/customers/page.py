"""Findings as one HTML page that holds all it shows: nothing is fetched from anywhere."""

from __future__ import annotations

import base64
import io
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from experiments.customers.findings import Findings

_FOLDER = Path(__file__).parent


def page_of(findings: Findings, *, made_at: datetime) -> str:
    """Return the page."""
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["inline"] = _inline
    return environment.get_template("report.html").render(found=findings, made_at=made_at)


def _inline(figure: Any) -> str:
    picture = io.BytesIO()
    # The section has the title already.
    figure.suptitle("")
    figure.savefig(picture, format="png")
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
