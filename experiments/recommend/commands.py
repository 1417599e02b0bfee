"""`encore recommend`: which products fit whom, how well that is known, and what is served."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from decision.wiring import Home, utc_now

if TYPE_CHECKING:
    import pyarrow as pa

    from decision.records import Recommended
    from experiments.recommend.evaluate import Evaluation, Table

T = TypeVar("T")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _orders(command: Any) -> Any:
    """Give a command its order lines: a file with its mapping, or the ledger of the home."""
    mapping = click.option("--mapping", type=_FILE, help="TOML: which column of FILE says what, as for import orders.")
    return click.argument("file", type=_FILE, required=False)(mapping(command))


@click.group()
def recommend() -> None:
    """Products that fit: with a purchase, instead of a return, in a win-back message.

    \b
    encore recommend evaluate orders.csv --mapping mapping.toml   how good they are, out of sample
    encore recommend train                                        learn from the ledger, and serve
    encore recommend show COFFEE-1KG                              what goes with a product
    encore recommend win-back --out list.csv                      products for customers who stay away

    Without FILE the orders of the ledger are read. Served ones come with a decision: "recommendations": 5.
    """


@recommend.command()
@_orders
@click.option("--seed", default=1, show_default=True, help="Fixes samples and the bootstrap.")
@click.pass_obj
def evaluate(home: Home, *, file: Path | None, mapping: Path | None, seed: int) -> None:
    """How many of the products that customers bought next are among ten recommended ones?

    Each customer's last basket is held out, and found again from what she and others bought before; then the same as
    of a day 90 days before the end. "New to her" leaves out what she had bought before. Popularity, plain
    co-occurrence and her own products again are the rules to beat. Everything is logged in MLflow.
    """
    from experiments.recommend.evaluate import evaluate
    from experiments.recommend.log import log_evaluation
    from experiments.recommend.purchases import purchases_of

    purchases = purchases_of(order_lines(home, file, mapping))
    click.echo(
        f"{len(purchases.customers):,} customers, {len(purchases.customer):,} baskets, "
        f"{len(purchases.products):,} products"
    )
    found = []
    for evaluation in evaluate(purchases, seed=seed, progress=_progress):
        _show(evaluation)
        found.append(evaluation)
    run_id = log_evaluation(home.programme(), purchases, found, seed=seed)
    click.echo(f"MLflow run {run_id}.")


@recommend.command()
@_orders
@click.option("--catalogue", type=_FILE, help="CSV of products: product, name, category, family, durable (yes or no).")
@click.option("--seed", default=1, show_default=True, help="Fixes samples.")
@click.pass_obj
def train(home: Home, *, file: Path | None, mapping: Path | None, catalogue: Path | None, seed: int) -> None:
    """Learn what goes with what, and serve it: running servers follow within a second.

    What is durable (seldom bought again) is seen from orders; the catalogue may say it instead. A family is one product
    in several sizes or colours. Products to hold back are read from CSV files with a column `product` in the folder
    recommendations/ of the home: out_of_stock.csv of the shop, problem_products.csv of `encore complaints`.
    """
    from experiments.recommend.catalogue import read_catalogue
    from experiments.recommend.log import log_training
    from experiments.recommend.purchases import purchases_of
    from experiments.recommend.train import chosen, train

    facts = read_catalogue(catalogue) if catalogue else {}
    purchases = purchases_of(order_lines(home, file, mapping))
    choice = chosen(purchases, seed=seed, progress=_progress)
    with log_training(home.programme(), purchases, choice, seed=seed) as run_id:
        written = train(purchases, facts, choice, home.recommendations, run_id=run_id, now=utc_now())
    click.echo(f"settings {choice.settings.as_dict()}, {choice.because}.")
    click.echo(
        f"{len(written.products):,} products, {int(written.durable.sum()):,} of them durable, "
        f"from {len(purchases.customer):,} baskets."
    )
    click.echo(f"recommendations {written.manifest.version} serve now; MLflow run {run_id}.")


@recommend.command()
@click.argument("products", nargs=-1, required=True)
@click.option("--returned", is_flag=True, help="The products came back.")
@click.option("--reason", type=click.Choice(["size", "quality", "wrong_item", "other"]), help="Why they came back.")
@click.option("-n", default=10, type=click.IntRange(1, 20), show_default=True, help="How many.")
@click.pass_obj
def show(home: Home, *, products: tuple[str, ...], returned: bool, reason: str | None, n: int) -> None:
    """What is recommended with a purchase of PRODUCTS, or in their place, to somebody of whom nothing else is known."""
    from decision.stages.baskets import History
    from decision.stages.recommendations import Purpose, Wish, recommend

    neighbours, held_back = _served(home)
    wish = Wish(Purpose.RETURN if returned or reason else Purpose.PURCHASE, n, products, reason)
    for product in products:
        if product not in neighbours.place:
            click.echo(f"{product} was not among the orders that were learned from.", err=True)
    _list(recommend(wish, History(), neighbours, held_back))


@recommend.command("win-back")
@_orders
@click.option(
    "--silent-days", default=90, type=click.IntRange(1), show_default=True, help="Without an order for so long."
)
@click.option("-n", default=5, type=click.IntRange(1, 20), show_default=True, help="Products for each customer.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="CSV to write.")
@click.pass_obj
def win_back(home: Home, *, file: Path | None, mapping: Path | None, silent_days: int, n: int, out: Path) -> None:
    """Products for a message to customers who stay away, one product a row, best first.

    Silence counts to the last order of anybody. Nothing durable that she owns is among them, nothing she sent back.
    """
    from experiments.recommend.win_back import silent

    neighbours, held_back = _served(home)
    from decision.stages.recommendations import Purpose, Wish, recommend

    quiet = silent(order_lines(home, file, mapping), days=silent_days)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as opened:
        rows = csv.writer(opened)
        rows.writerow(("customer_id", "days_silent", "rank", "product", "code", "because"))
        for customer in _progress("Customers", quiet):
            found = recommend(Wish(Purpose.WIN_BACK, n), customer.history, neighbours, held_back)
            for rank, one in enumerate(found.products, start=1):
                rows.writerow((customer.customer_id, customer.days, rank, one.product, one.code, one.because or ""))
    click.echo(f"{len(quiet):,} customers without an order for {silent_days} days: {out}")


def order_lines(home: Home, file: Path | None, mapping: Path | None) -> pa.Table:
    """Return the order lines of a file under its mapping, or of the ledger; says what could not be used."""
    from experiments.history.from_ledger import customers_in, history_of_ledger
    from experiments.history.from_orders import Orders, history_of_orders
    from experiments.importing.orders_mapping import read_orders_mapping

    if (file is None) != (mapping is None):
        raise click.UsageError("Expected FILE and --mapping together, or neither for the orders of the ledger.")
    if file is None or mapping is None:
        path = home.ledger_path
        with click.progressbar(length=customers_in(path), label="Customers", file=sys.stderr) as bar:
            found = history_of_ledger(path, advance=bar.update)
    else:
        programme = home.programme()
        reading, table = read_orders_mapping(mapping, file, programme)
        with click.progressbar(length=table.length, label="Order lines", file=sys.stderr) as bar:
            found = history_of_orders(Orders(table, reading, programme), now=utc_now(), advance=bar.update)
    for reason, count in found.left_out.items():
        click.echo(f"left out: {count:,} {reason}", err=True)
    return found.order_lines


def _served(home: Home) -> tuple[Any, Any]:
    from decision.bundle.shelf import Shelf, fresh_shelf
    from decision.errors import NotFound
    from decision.stages.recommendations import HeldBack

    shelf, wrong = fresh_shelf(home.root, Shelf())
    if wrong is not None:
        raise wrong
    if shelf.neighbours is None:
        raise NotFound("Expected trained recommendations, found none.", hint="Run `encore recommend train`.")
    excluded = home.programme().eligibility.excluded_products
    return shelf.neighbours, HeldBack(shelf.out_of_stock, shelf.problems, excluded)


def _progress(label: str, items: Iterable[T]) -> Iterable[T]:
    with click.progressbar(items, label=label, file=sys.stderr) as bar:
        yield from bar


def _list(found: Recommended) -> None:
    for rank, one in enumerate(found.products, start=1):
        because = f" {one.because}" if one.because else ""
        click.echo(f"{rank:>3}  {one.product:24} {one.score:>9.4f}  {one.code}{because}")
    if found.detail:
        click.echo(found.detail)
    for reason, count in found.withheld.items():
        click.echo(f"held back: {count} {reason}")


def _show(evaluation: Evaluation) -> None:
    click.echo(f"settings {evaluation.settings.as_dict()}, chosen on {evaluation.chosen_on}")
    for table in evaluation.tables:
        _show_table(table)


def _show_table(table: Table) -> None:
    from experiments.recommend.evaluate import ENCORE, METRICS

    click.echo(f"\n{table.protocol}, {table.question}: {table.customers:,} customers, 95 % intervals")
    click.echo(f"{'':36}" + "".join(f"{metric:>26}{'Encore is ahead by':>28}" for metric in METRICS))
    for name in dict.fromkeys(name for name, _ in table.values):
        cells = ""
        for metric in METRICS:
            ahead = "" if name == ENCORE else f"{table.ahead[name, metric].signed}"
            cells += f"{table.values[name, metric]!s:>26}{ahead:>28}"
        click.echo(f"{name:36}{cells}")
    verdict = "beats" if table.beats_rivals else "does not beat"
    click.echo(f"Encore {verdict} popularity and co-occurrence beyond chance on both.\n")
