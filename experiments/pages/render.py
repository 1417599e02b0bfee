"""A page as HTML: pictures are inside, nothing is fetched from anywhere, and no text can become markup."""

from __future__ import annotations

import base64
import io
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from PIL import Image

from experiments.pages.parts import Page, Picture, Section
from experiments.whole_file import whole_file

_FOLDER = Path(__file__).parent
COLOURS = 256


def html_of(page: Page, *, made_at: datetime) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_together
    )
    environment.filters["wide"] = _wide
    environment.filters["narrow"] = _narrow
    environment.filters["alternative"] = _alternative
    return environment.get_template("page.html").render(page=page, made_at=made_at)


def write_page(path: Path, html: str) -> None:
    """Write a page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        unfinished.write_text(html, encoding="utf-8")


def _together(value: Any) -> Any:
    """Keep a number and its percent sign in one line; files are shown as they are."""
    return value.replace(" %", "\N{NO-BREAK SPACE}%") if isinstance(value, str) and "\n" not in value else value


def _alternative(section: Section) -> str:
    """Return what stands for a section's picture."""
    return section.alt or section.title


def _wide(figure: Any) -> str:
    return _inline(figure.wide if isinstance(figure, Picture) else figure)


def _narrow(figure: Any) -> str:
    """Return what stands in its place on a small screen; empty where there is nothing."""
    return _inline(figure.narrow) if isinstance(figure, Picture) else ""


def _inline(figure: Any) -> str:
    drawn, small = io.BytesIO(), io.BytesIO()
    # The section has the title already.
    figure.suptitle("")
    figure.savefig(drawn, format="png")
    # A plot has few colours: a palette takes a third of the room, and a page holds every plot wide and narrow.
    Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
