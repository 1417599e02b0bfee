"""The commands as their users run them, on a small shop; what they log is in MLflow."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from decision.bundle.shelf import FOLDER, OUT_OF_STOCK
from decision.cli import main
from decision.wiring import Home
from tests.recommend.tables import shop
from tests.support import DAY, NOW

MAPPING = """
[orders]
name = "past"
currency = "EUR"

[columns]
order_id = "order"
customer_id = "customer"
product = "product"
quantity = "quantity"
unit_price = "price"
time = "at"
"""


def encore(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *arguments])


@pytest.fixture
def orders(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A file of orders with its mapping, in a folder where MLflow may write."""
    monkeypatch.chdir(home.root)
    rows = [
        [order, customer, product, 1, "5.00", (NOW - 200 * DAY + days * DAY).isoformat()]
        for customer, order, days, products in shop()
        for product in products.split()
    ]
    with (home.root / "orders.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("order", "customer", "product", "quantity", "price", "at"), *rows])
    (home.root / "mapping.toml").write_text(MAPPING)
    return [str(home.root / "orders.csv"), "--mapping", str(home.root / "mapping.toml")]


def test_measured_trained_shown_and_written(home: Home, orders: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.recommend.evaluate.GRID", _few())
    nothing_yet = encore(home, "recommend", "show", "a1")
    assert nothing_yet.exit_code == 2
    assert "encore recommend train" in nothing_yet.output
    measured = encore(home, "recommend", "evaluate", *orders)
    assert measured.exit_code == 0, measured.output
    assert "leave the last basket out, any product: 60 customers" in measured.output
    trained = encore(home, "recommend", "train", *orders)
    assert trained.exit_code == 0, trained.output
    assert home.recommendations.current in trained.output
    assert home.recommendations.read(str(home.recommendations.current)).manifest.origin.run_id in trained.output
    shown = encore(home, "recommend", "show", "a1", "-n", "3")
    assert "a1-with" in shown.output
    (home.root / FOLDER / OUT_OF_STOCK).write_text("product\na1-with\n")
    without = encore(home, "recommend", "show", "a1", "?", "-n", "3")
    assert "held back: 1 out_of_stock" in without.output
    assert "? was not among the orders" in without.output
    out = home.root / "lists" / "win-back.csv"
    written = encore(home, "recommend", "win-back", *orders, "--silent-days", "1", "-n", "2", "--out", str(out))
    assert written.exit_code == 0, written.output
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["rank"] for row in rows} <= {"1", "2"}
    assert "a1-with" not in {row["product"] for row in rows}


def _few() -> tuple[object, ...]:
    from experiments.recommend.model import Settings

    return (Settings(), Settings(mix=1.0))


def test_a_file_needs_its_mapping(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("x\n")
    refused = encore(home, "recommend", "train", str(path))
    assert refused.exit_code == 2
    assert "FILE and --mapping together" in refused.output
