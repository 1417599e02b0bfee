"""Reviews from a file: text, rating, product and department, by columns that are named or recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from decision.errors import InvalidInput
from decision.records import FloatArray
from experiments.importing.table import open_table

# What columns are usually called, in small letters without spaces, dots and underscores; the likeliest first.
USUAL: Mapping[str, tuple[str, ...]] = {
    "text": ("reviewtext", "text", "review", "reviewbody", "body", "comment", "content", "reviewcontent"),
    "title": ("title", "summary", "reviewtitle", "headline", "reviewheadline"),
    "rating": ("rating", "stars", "score", "starrating", "overall", "reviewrating", "reviewscore"),
    "product": ("product", "productid", "sku", "clothingid", "itemid", "asin", "stockcode", "item", "parentasin"),
    "department": ("department", "departmentname", "category", "productcategory", "classname", "productgroup"),
}
REQUIRED = ("text", "rating", "product")
NO_DEPARTMENT = "(none)"
LARGEST_RATING = 100.0


@dataclass(frozen=True, slots=True)
class Reviews:
    """R reviews with text. `rating` [R] is NaN where none was given; `left_out` counts rows without text or product."""

    text: tuple[str, ...]
    rating: FloatArray
    product: tuple[str, ...]
    department: tuple[str, ...]
    left_out: Mapping[str, int]


def read_reviews(path: Path, named: Mapping[str, str | None]) -> Reviews:
    """Return the reviews in a CSV or Parquet file; `named` says for `text`, `rating`, … which column it is.

    Raises
    ------
    InvalidInput : a column is missing, or a rating is no number.
    """
    table = open_table(path)
    place = _places(table.columns, named, path)
    texts, ratings, products, departments = [], [], [], []
    no_text = no_product = 0
    for batch in table.batches():
        for number, row in batch.numbered():
            cells = {what: row[at] if at < len(row) else None for what, at in place.items()}
            text = ". ".join(part for part in (_text(cells.get("title")), _text(cells["text"])) if part)
            product = _text(cells["product"])
            if not text or not product:
                no_text, no_product = no_text + (not text), no_product + bool(text)
                continue
            texts.append(text)
            products.append(product)
            ratings.append(_rating(cells["rating"], number, path))
            departments.append(_text(cells.get("department")) or NO_DEPARTMENT)
    left_out = {"reviews without text": no_text, "reviews without a product": no_product}
    return Reviews(
        tuple(texts),
        np.array(ratings, dtype=np.float64),
        tuple(products),
        tuple(departments),
        {reason: count for reason, count in left_out.items() if count},
    )


def _places(columns: tuple[str, ...], named: Mapping[str, str | None], path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    bare = {_bare(name): i for i, name in reversed(list(enumerate(columns)))}
    for what, usual in USUAL.items():
        name = named.get(what)
        if name is not None:
            if name not in columns:
                raise InvalidInput(f"Expected a column {name!r} in {path.name}, found {', '.join(columns)}.")
            found[what] = columns.index(name)
        elif (at := next((bare[one] for one in usual if one in bare), None)) is not None:
            found[what] = at
        elif what in REQUIRED:
            raise InvalidInput(
                f"Expected a column for the {what} of reviews in {path.name}, found {', '.join(columns)}.",
                hint=f"Name it with --{what}.",
            )
    return found


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    return str(cell).strip()


def _rating(cell: Any, number: int, path: Path) -> float:
    text = _text(cell)
    if not text:
        return float("nan")
    try:
        rating = float(text)
    except ValueError:
        rating = -1.0
    if not 0 <= rating <= LARGEST_RATING:
        raise InvalidInput(f"Expected a rating such as 4 in row {number} of {path.name}, found {text!r}.")
    return rating
