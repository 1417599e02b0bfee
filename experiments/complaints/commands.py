"""`encore complaints`: reviews in, problem products out."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from decision.bundle.shelf import FOLDER, PROBLEMS
from decision.wiring import Home

if TYPE_CHECKING:
    from experiments.complaints.findings import Findings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN = 20


@click.command()
@click.argument("file", type=_FILE)
@click.option("--text", help="Column of the text of a review.")
@click.option("--title", help="Column of its title, if any; it is read with the text.")
@click.option("--rating", help="Column of the rating.")
@click.option("--product", help="Column of the product's id, as orders name it.")
@click.option("--department", help="Column of its department or category, if any.")
@click.option("--low", default=3.0, show_default=True, help="A rating of at most this is a complaint.")
@click.option(
    "--worse",
    default=1.0,
    type=click.FloatRange(1.0),
    show_default=True,
    help="A problem is a share of complaints beyond so many times the shop's.",
)
@click.option("--terms", type=_FILE, help="TOML of your own kinds of complaint and their terms.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="recommendations/ of the home",
    help="Folder for problem_products.csv and complaints.csv.",
)
@click.option("--seed", default=1, show_default=True, help="Fixes resamples.")
@click.pass_obj
def complaints(
    home: Home,
    /,
    *,
    file: Path,
    low: float,
    worse: float,
    terms: Path | None,
    out: Path | None,
    seed: int,
    **columns: str | None,
) -> None:
    """Which products and departments do customers complain about, and of what?

    FILE holds reviews (CSV or Parquet). Columns with usual names are found by themselves. A review is a complaint by
    its rating; where there is none, a text model that learned from the others says how likely it is. Kinds (fit,
    quality, packaging, late, wrong item) are found by lists of terms. How well texts tell complaints is measured on
    products the model did not see, and logged in MLflow.

    A product is a problem when its share of complaints lies above the shop's (or --worse times it) with 95 % certainty,
    after it was drawn to its department's: three bad reviews are not enough. Recommendations avoid problem products at
    once; offers do with `avoid_problem_products = true` under [eligibility] of programme.toml.
    """
    from experiments.complaints.findings import find
    from experiments.complaints.kinds import TERMS, read_kinds
    from experiments.complaints.log import log_findings
    from experiments.complaints.reviews import read_reviews

    kinds = read_kinds(terms or TERMS)
    reviews = read_reviews(file, columns)
    for reason, count in reviews.left_out.items():
        click.echo(f"left out: {count:,} {reason}", err=True)
    click.echo(f"… {len(reviews.text):,} reviews", err=True)
    found = find(reviews, kinds, low=low, worse=worse, seed=seed)
    for line in report(found):
        click.echo(line)
    folder = out or home.root / FOLDER
    written = write(found, folder)
    run_id = log_findings(home.programme(), found, file=file, settings={"low": low, "worse": worse, "seed": seed})
    click.echo(f"{written:,} problem products: {folder / PROBLEMS}. MLflow run {run_id}.")


def report(found: Findings) -> Iterable[str]:
    """Yield the lines of the report."""
    from experiments.complaints.findings import ANY
    from experiments.complaints.rates import Verdict

    yield "texts against ratings, on products the model did not see (95 % intervals)"
    for name, skill in found.skills.items():
        auc, ap = skill.auc, skill.average_precision
        yield (
            f"  {name}: AUC {auc[0]:.3f} [{auc[1]:.3f}, {auc[2]:.3f}], average precision {ap[0]:.3f} "
            f"[{ap[1]:.3f}, {ap[2]:.3f}]; {skill.base:.1%} of {skill.reviews:,} reviews"
        )
    yield ""
    yield "kinds, found by terms: how often mentioned, and how often such and other reviews are complaints"
    for kind, trust in found.trust.items():
        with_it, without = trust.complaints_if_mentioned, trust.complaints_if_not
        yield (
            f"  {kind:12} {trust.mentioned:6.1%}   {with_it[0]:.1%} [{with_it[1]:.1%}, {with_it[2]:.1%}] against "
            f"{without[0]:.1%} [{without[1]:.1%}, {without[2]:.1%}]"
        )
    yield f"  {found.uncovered:.0%} of complaints mention no kind"
    for number, words in enumerate(found.topics, start=1):
        yield f"  topic {number}: {' '.join(words)}"
    yield ""
    kinds = list(found.departments)
    yield f"{'department':24}{'reviews':>9}" + "".join(f"{kind:>24}" for kind in kinds)
    of_any = found.departments[ANY]
    for d in sorted(range(len(found.coded.departments)), key=lambda d: -of_any.share[d]):
        cells = "".join(f"{_cell(found.departments[kind], d):>24}" for kind in kinds)
        yield f"{found.coded.departments[d]:24.24}{of_any.reviews[d]:>9,}{cells}"
    yield ""
    problems = found.problems()
    yield f"{'problem product':24}{'reviews':>9}  {'kind':12}{'share':>24}{'of the shop':>14}"
    ordered = sorted(problems, key=lambda one: -found.products[one[1]].beyond[found.coded.products.index(one[0])])
    for product, kind in ordered[:SHOWN]:
        p, of = found.coded.products.index(product), found.products[kind]
        yield f"{product:24.24}{of.reviews[p]:>9,}  {kind:12}{_cell(of, p):>24}{found.shop[kind]:>14.1%}"
    if len(problems) > SHOWN:
        yield f"… and {len(problems) - SHOWN} more in {PROBLEMS}"
    of_products = found.products[ANY]
    verdicts = [of_products.verdict(p) for p in range(len(found.coded.products))]
    yield ", ".join(f"{verdicts.count(v):,} products: {v}" for v in Verdict) + " (any kind together)"
    if found.holdout is not None:
        flagged, rest = found.holdout.share_of_flagged, found.holdout.share_of_rest
        yield (
            f"check: {found.holdout.flagged} products flagged on a random half of reviews have {flagged[0]:.1%} "
            f"[{flagged[1]:.1%}, {flagged[2]:.1%}] complaints in the other half, the rest {rest[0]:.1%} "
            f"[{rest[1]:.1%}, {rest[2]:.1%}]"
        )
    yield ""


def _cell(of: object, group: int) -> str:
    share, low, high = (float(getattr(of, name)[group]) for name in ("share", "low", "high"))
    return f"{share:.1%} [{low:.1%}, {high:.1%}]"


def write(found: Findings, folder: Path) -> int:
    """Write the problem products, and all products with all kinds; return how many products are a problem."""
    folder.mkdir(parents=True, exist_ok=True)
    problems = set(found.problems())
    head = ("product", "department", "kind", "verdict", "reviews", "complaints", "share", "low", "high")
    rows = []
    for p, product in enumerate(found.coded.products):
        for kind, of in found.products.items():
            numbers = (f"{value[p]:.4f}" for value in (of.complaints, of.share, of.low, of.high))
            department = found.coded.departments[found.coded.home[p]]
            rows.append((product, department, kind, of.verdict(p).value, int(of.reviews[p]), *numbers))
    for name, kept in ((PROBLEMS, [r for r in rows if (r[0], r[2]) in problems]), ("complaints.csv", rows)):
        draft = folder / f".{name}"
        with draft.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *kept])
        # Servers may be reading it.
        draft.replace(folder / name)
    return len({product for product, _ in problems})
