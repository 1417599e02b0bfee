import subprocess
import sys
from datetime import timedelta

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.config import Config

from decision.errors import InvalidInput
from experiments.features.catalogue import catalogue, version_of
from experiments.features.compute import MOMENTS, Engine, Prepared, features_of, without_zones
from experiments.features.feature import Over
from experiments.features.sources import Everybody, Inputs, Moments
from experiments.features.table import features_table
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History
from tests.features.by_hand import by_hand
from tests.features.histories import CUSTOMERS, DAYS, START, history

FEATURES = catalogue()
NAMES = [feature.name for feature in FEATURES]
MIDDLE = START + timedelta(days=500)
SEEDS = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared(FEATURES)


def test_every_feature_is_what_it_is_by_hand(prepared: Prepared) -> None:
    given_values = set()
    for seed in range(6):
        past = history(seed)
        moments = [(c, START + timedelta(days=d, microseconds=seed)) for c in CUSTOMERS for d in (1, 300, 500, DAYS)]
        table = prepared.at(past, [*moments, ("nobody", MIDDLE)])
        assert table.column_names == ["customer_id", "as_of", *NAMES]
        assert table.num_rows == len(moments) + 1
        for row in table.to_pylist():
            hand = by_hand(past, row["customer_id"], row["as_of"])
            assert set(hand) == set(NAMES)
            given_values |= {name for name in NAMES if row[name] not in (None, 0.0)}
            for name, expected in hand.items():
                found = row[name]
                approximately = pytest.approx(expected, rel=1e-9, abs=1e-6) if isinstance(expected, float) else expected
                assert found == approximately, (name, row["customer_id"], row["as_of"])
    assert given_values == {*NAMES} - {"response_rate_web_push"}, "a feature that is always nothing is not tested"


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, other=SEEDS)
def test_what_comes_later_changes_nothing(prepared: Prepared, seed: int, other: int) -> None:
    whole, later = history(seed), history(other)
    past, future = whole.known_before(MIDDLE), timedelta(days=700)
    both = History(
        pa.concat_tables([past.order_lines, moved(later.order_lines, future)]),
        pa.concat_tables([past.contacts, moved(later.contacts, future)]),
        pa.concat_tables([past.visits, moved(later.visits, future)]),
    )
    moments = [(name, MIDDLE) for name in CUSTOMERS]
    expected = prepared.at(past, moments)
    assert prepared.at(both, moments) == expected
    assert prepared.at(whole, moments) == expected


def moved(table: pa.Table, by: timedelta) -> pa.Table:
    """The rows of a table with all of their times later."""
    rows = table.to_pylist()
    for row in rows:
        for name in row:
            if (name == "at" or name.endswith("_at")) and row[name] is not None:
                row[name] = max(row[name] + by, MIDDLE)
    return pa.Table.from_pylist(rows, table.schema)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_a_customer_is_the_same_alone_and_among_all_to_the_last_bit(prepared: Prepared, seed: int) -> None:
    past = history(seed)
    everybody = prepared.at(past, [(name, MIDDLE) for name in CUSTOMERS]).to_pylist()
    for place, name in enumerate(CUSTOMERS[:2]):
        hers = History(*(of(table, name) for table in (past.order_lines, past.contacts, past.visits)))
        assert prepared.at(hers, [(name, MIDDLE)]).to_pylist() == [everybody[place]]


def test_everybody_at_one_moment_is_each_at_that_moment(prepared: Prepared) -> None:
    past = history(3)
    everybody = features_of(past, FEATURES, as_of=MIDDLE)
    known = everybody["customer_id"].to_pylist()
    assert prepared.at(past, [(name, MIDDLE) for name in known]) == everybody
    unknown = prepared.at(past, [(name, MIDDLE) for name in CUSTOMERS if name not in known]).to_pylist()
    assert all(row["orders"] == row["contacts"] == row["visits"] == 0 for row in unknown)


def of(table: pa.Table, customer_id: str) -> pa.Table:
    return table.filter(pa.compute.equal(table["customer_id"], customer_id))


def test_the_moment_itself_is_not_the_past(prepared: Prepared) -> None:
    past = history(1)
    at = past.order_lines["at"].to_pylist()[0]
    name = past.order_lines["customer_id"].to_pylist()[0]
    now, then = prepared.at(past, [(name, at), (name, at + timedelta(microseconds=1))]).to_pylist()
    assert then["orders"] == now["orders"] + 1
    assert then["recency_days"] == 0.0


def unbound(name: str, schema: pa.Schema) -> ibis.Table:
    return ibis.table(ibis.Schema.from_pyarrow(without_zones(schema)), name)


def test_the_same_definitions_compile_for_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spark(Config):  # type: ignore[misc]
        treat_nan_as_null: bool = False

    # What importing PySpark would have set.
    monkeypatch.setattr(ibis.options, "pyspark", Spark())
    names = {"order_lines": ORDER_LINES, "contacts": CONTACTS, "visits": VISITS}
    inputs = Inputs(**{name: unbound(name, schema) for name, schema in names.items()})
    moments = Moments(unbound("moments", MOMENTS))
    for when in (Everybody(MIDDLE), moments):
        sql = ibis.to_sql(features_table(inputs, when, FEATURES), dialect="pyspark")
        assert all(f"`{name}`" in sql for name in NAMES)


def test_the_catalogue_says_what_each_is() -> None:
    assert len(NAMES) == len(set(NAMES))
    seen: set[str] = set()
    for feature in FEATURES:
        assert feature.name.isidentifier()
        assert feature.description.endswith(".")
        assert feature.unit
        assert (feature.null == "never") == (feature.absent is not None)
        seen.add(feature.name)
    assert {feature.over for feature in FEATURES} == set(Over)


def test_a_version_tells_features_from_others() -> None:
    assert version_of(FEATURES) == version_of(catalogue())
    assert version_of(FEATURES) != version_of(catalogue(["post"]))


def test_a_moment_twice_is_a_mistake() -> None:
    with pytest.raises(InvalidInput, match="each customer and moment once, found 1 again"):
        Engine.start().moments([("ada", MIDDLE), ("ada", MIDDLE)])


def test_names_are_known_without_an_engine() -> None:
    """A server that reads a programme with a profile loads nothing heavy."""
    code = (
        "import sys; from decision.programme.profile import profile_values; profile_values(['email'])['orders']; "
        "print([m for m in ('ibis', 'duckdb', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
