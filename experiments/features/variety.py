"""What she buys: products, categories, how concentrated they are, and how they drift."""

from __future__ import annotations

from typing import Any

from experiments.features.feature import DAY, Feature, Over, count_of, share

NO_CATEGORY = "no category of what she bought is known"
RECENT = 90 * DAY


def _concentration(categories: Any) -> Any:
    n = categories.lines.sum()
    return (categories.lines * categories.lines).sum() / (n * n)


def _drift(categories: Any) -> Any:
    # Half the sum of |p - q|, over one denominator: whole numbers until the end.
    moved = (categories.recent * categories.all_before - categories.before * categories.all_recent).abs().sum()
    return share(moved, 2 * categories.all_recent.max() * categories.all_before.max())


VARIETY = (
    count_of(
        "products",
        "Different products she bought.",
        Over.LINES,
        lambda lines: lines.product.nunique(where=~lines.is_return),
        "products",
    ),
    Feature(
        "product_repeat_share",
        "Share of the lines she bought that were of a product bought before.",
        "share",
        "no product she bought is known",
        Over.LINES,
        lambda lines: (
            1 - share(lines.product.nunique(where=~lines.is_return), (lines.product.notnull() & ~lines.is_return).sum())
        ),
    ),
    count_of(
        "categories",
        "Different categories she bought of.",
        Over.CATEGORIES,
        lambda categories: categories.count(),
        "categories",
    ),
    Feature(
        "main_category",
        "The category with most of her lines; the first by name among equals.",
        "name",
        NO_CATEGORY,
        Over.CATEGORIES,
        lambda categories: categories.category.min(where=categories.lines == categories.most),
        kind="category",
    ),
    Feature(
        "main_category_share",
        "Share of her lines in her main category.",
        "share",
        NO_CATEGORY,
        Over.CATEGORIES,
        lambda categories: categories.lines.max() / categories.lines.sum(),
    ),
    Feature(
        "category_concentration",
        "Sum of squared shares of categories: 1 is a single category.",
        "share",
        NO_CATEGORY,
        Over.CATEGORIES,
        _concentration,
    ),
    Feature(
        "category_drift",
        "How far her categories of the last 90 days are from those before: 0 the same, 1 all others.",
        "share",
        "she bought nothing of a known category in one of the two",
        Over.CATEGORIES,
        _drift,
    ),
)
