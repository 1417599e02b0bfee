from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from decision.cli import main
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.programme.read import parse_programme
from experiments.importing.orders import OrdersReceipt, import_orders
from experiments.importing.orders_mapping import read_orders_mapping
from experiments.importing.trial import TrialReceipt, import_trial
from experiments.importing.trial_mapping import read_trial_mapping

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)

PROGRAMME = """
[programme]
name = "Corner shop"
currency = "EUR"
timezone = "Europe/Berlin"
salt = "corner"
attribution_window_days = 10
gross_margin = 0.40
[goal]
profit = 1.0
traffic = 0.5
[channels.email]
contact_cost = "0.02"
[offers.thank_you]
kind = "none"
channels = ["email"]
[offers.discount_10]
kind = "percent_discount"
percent = 10
channels = ["email"]
cost.share_of_basket = 0.10
cost.on_redemption = "0.30"
[regions.north]
[stores.online]
[stores.hamburg]
region = "north"
goal.loyalty = 2.0
[features.age]
type = "number"
[features.tier]
type = "category"
"""

TRIAL_MAPPING = """
[trial]
name = "spring"
decided_at = 2026-03-01
trigger = "purchase"
customer_id = "who"
store = "online"
[arms]
column = "arm"
none = "control"
thanks = "thank_you@email"
ten = "discount_10@email"
[features]
age = "years"
tier = "tier"
[outcomes]
visited = "visit"
repurchased = "bought"
revenue = "spend"
redeemed = "used"
"""
TRIAL_HEADER = "who,arm,years,tier,visit,bought,spend,used"

ORDERS_MAPPING = """
[orders]
name = "till"
currency = "EUR"
timezone = "Europe/Berlin"
adjustment_prefixes = ["A"]
exclude_products = ["POST", "gift_.*"]
[columns]
order_id = "invoice"
customer_id = "who"
product = "code"
quantity = "n"
unit_price = "price"
time = "at"
[returns]
return_prefix = "C"
"""
ORDERS_HEADER = "invoice,who,code,n,price,at"


@dataclass(frozen=True)
class Shop:
    """A home with a ledger; `trial` and `orders` import CSV lines and return the receipt."""

    root: Path
    programme: Programme
    ledger: SqliteLedger

    @property
    def rejects(self) -> Path:
        return self.root / "rejects.csv"

    def file(self, *lines: str, name: str = "rows.csv") -> Path:
        path = self.root / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def mapping(self, text: str) -> Path:
        return self.file(text, name="mapping.toml")

    def trial(self, *lines: str, header: str = TRIAL_HEADER, mapping: str = TRIAL_MAPPING, **more: Any) -> TrialReceipt:
        read, table = read_trial_mapping(self.mapping(mapping), self.file(header, *lines), self.programme)
        return import_trial(
            table, read, programme=self.programme, ledger=self.ledger, now=NOW, rejects_path=self.rejects, **more
        )

    def orders(self, *lines: str, header: str = ORDERS_HEADER, mapping: str = ORDERS_MAPPING) -> OrdersReceipt:
        read, table = read_orders_mapping(self.mapping(mapping), self.file(header, *lines), self.programme)
        return import_orders(
            table, read, programme=self.programme, ledger=self.ledger, now=NOW, rejects_path=self.rejects
        )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "programme.toml").write_text(PROGRAMME, encoding="utf-8")
    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    yield Shop(tmp_path, parse_programme(PROGRAMME), ledger)
    ledger.close()


@pytest.fixture
def trial_mapping() -> str:
    return TRIAL_MAPPING


@pytest.fixture
def orders_mapping() -> str:
    return ORDERS_MAPPING


@pytest.fixture
def encore(shop: Shop) -> Callable[..., Result]:
    """Return `encore` itself, run in the shop's home."""
    return lambda *words: CliRunner().invoke(main, ["--home", str(shop.root), *map(str, words)])


@pytest.fixture
def fair() -> Callable[[int], list[str]]:
    """Return a maker of rows, n for each arm, that all can be used."""

    def rows(n: int) -> list[str]:
        arms = ("none", "thanks", "ten")
        return [f"{arm}{i},{arm},30,gold,0,0,0,0" for i in range(n) for arm in arms]

    return rows
