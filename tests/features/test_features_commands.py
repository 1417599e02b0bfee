import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from decision.cli import main
from decision.locks import FileLock
from decision.wiring import Home, utc_now
from tests.support import PROGRAMME, bought

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
MAPPING = """
[orders]
name = "shop"
currency = "EUR"
[columns]
order_id = "order"
customer_id = "who"
product = "article"
quantity = "n"
unit_price = "price"
time = "when"
"""
ORDERS = """order,who,article,n,price,when
1,ada,shirt,1,20.00,2026-03-01T10:00
2,ada,shirt,1,20.00,2026-04-01T10:00
3,bob,nut,none,10.00,2026-04-01T10:00
4,eve,nut,1,10.00,2026-05-01T10:00
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A shop in the current folder with one order in its ledger, and a file of others."""
    monkeypatch.chdir(tmp_path)
    home = Home(Path("."))
    home.programme_path.write_text(PROGRAMME)
    at = utc_now() - timedelta(days=3)
    ledger = home.ledger()
    ledger.record_outcomes([bought(at, "o-1", 30.0, customer_id="kim", message_id="m-1")], now=at)
    ledger.close()
    Path("orders.csv").write_text(ORDERS)
    Path("mapping.toml").write_text(MAPPING)
    Path("snapshots.csv").write_text("customer_id,as_of\nkim,2020-01-01\nkim,2036-01-01T10:00:00Z\nnobody,2036-01-01\n")
    return home


def encore(words: str) -> Result:
    return CliRunner().invoke(main, shlex.split(words))


def test_the_catalogue_is_printed_with_the_programmes_channels(shop: Home) -> None:
    assert "recency_days" in encore("features").output
    named = {feature["name"]: feature for feature in json.loads(encore("features --json").output)}
    assert named["recency_days"]["unit"] == "days"
    assert named["recency_days"]["null"] == "she has not ordered"
    assert {name for name in named if name.startswith("response_rate_")} == {
        f"response_rate_{channel}" for channel in ("on_page", "email", "sms")
    }


def test_a_file_of_orders_becomes_features_as_of_a_moment_in_the_shops_time(shop: Home) -> None:
    done = encore("features compute out.parquet --orders orders.csv --mapping mapping.toml --as-of 2026-04-01T10:00")
    assert done.exit_code == 0, done.output
    assert "1  left out: not a number in 'n'" in done.output
    (ada,) = pq.read_table("out.parquet").to_pylist()
    assert (ada["customer_id"], ada["orders"], ada["recency_days"]) == ("ada", 1.0, 31 - 1 / 24), "summer time began"
    assert ada["as_of"].replace(tzinfo=UTC) == datetime(2026, 4, 1, 8, tzinfo=UTC)
    assert not list(Path().glob("*.part"))


def test_each_row_may_have_a_moment_of_its_own(shop: Home) -> None:
    assert encore("features compute out.parquet --moments snapshots.csv").exit_code == 0
    rows = {(row["customer_id"], row["as_of"].year): row["orders"] for row in pq.read_table("out.parquet").to_pylist()}
    # The shop's midnight is still last year's in UTC.
    assert rows == {("kim", 2019): 0.0, ("kim", 2036): 1.0, ("nobody", 2035): 0.0}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("compute o.parquet --orders orders.csv", "Expected --orders and --mapping together"),
        ("compute o.parquet --moments snapshots.csv --as-of 2026-01-01", "Expected --as-of or --moments"),
        ("compute o.parquet --as-of yesterday", "Expected a time such as 2026-09-01"),
        ("compute o.parquet --moments orders.csv", "Expected columns customer_id and as_of in orders.csv"),
    ],
)
def test_mistakes_are_told_in_a_sentence(shop: Home, words: str, sentence: str) -> None:
    done = encore(f"features {words}")
    assert done.exit_code != 0
    assert sentence in done.stderr


def test_one_follower_works_on_a_shop(shop: Home) -> None:
    lock = FileLock(shop.root / "features.lock")
    assert lock.acquire(patience=0.0)
    done = encore("features follow --once")
    lock.release()
    assert done.exit_code != 0
    assert "Expected nobody else to follow the ledger" in done.stderr


def test_every_command_of_the_page(shop: Home) -> None:
    commands = re.findall(r"^encore (.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        done = encore(f"{command} --once" if command.endswith("follow") else command)
        assert done.exit_code == 0, (command, done.output)
    ledger = shop.ledger()
    assert ledger.profiles.of("kim").values["orders"] == 1.0
    ledger.close()
