"""Pages are light, and what is wide scrolls in a frame of its own."""

import base64
import io
import re
from datetime import UTC, datetime

import matplotlib.pyplot as plt
from PIL import Image

from experiments.pages import Page, Section, Table, html_of


def html(section: Section) -> str:
    page = Page(title="t", about="a", headline="h", sections=[section], footer="f")
    return html_of(page, made_at=datetime(2026, 11, 1, tzinfo=UTC))


def test_a_picture_is_a_palette_and_its_colours_are_those_that_were_drawn() -> None:
    figure, axes = plt.subplots(figsize=(6, 4), dpi=100)
    axes.set_facecolor("#1f6f5c")
    axes.plot([0, 1], [0, 1], color="#a3321a", lw=6)
    plain = io.BytesIO()
    figure.savefig(plain, format="png")
    plt.close(figure)
    (drawn,) = re.findall(r'"data:image/png;base64,([^"]*)"', html(Section("t", [], figure)))
    found, before = Image.open(io.BytesIO(base64.b64decode(drawn))), Image.open(plain).convert("RGB")
    assert (found.mode, found.size) == ("P", before.size)
    assert len(base64.b64decode(drawn)) < len(plain.getvalue())
    after = found.convert("RGB")
    for place in ((300, 60), (10, 10), (300, 200)):
        assert max(abs(a - b) for a, b in zip(after.getpixel(place), before.getpixel(place), strict=True)) <= 4


def test_every_table_is_in_a_frame_that_scrolls() -> None:
    page = html(Section("t", [], table=Table(tuple("abcdefgh"), [tuple("12345678")])))
    assert page.count("<table") == len(re.findall(r'<div class="wide">\s*<table', page)) == 1
    assert ".wide { overflow-x: auto" in page
