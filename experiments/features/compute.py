"""Runs the definitions on DuckDB: over a history in memory, or over order lines in Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from decision.errors import InvalidInput
from experiments.features.feature import Feature
from experiments.features.sources import Everybody, Inputs, Moments, When
from experiments.features.table import features_table
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History

MOMENTS = pa.schema([("customer_id", pa.string()), ("as_of", pa.timestamp("us", tz="UTC"))])


def without_zones(schema: pa.Schema) -> pa.Schema:
    """Return a schema whose times are UTC without saying so, as `Inputs` and `Moments` have them."""
    kinds = [pa.timestamp("us") if pa.types.is_timestamp(kind) else kind for kind in schema.types]
    return pa.schema(list(zip(schema.names, kinds, strict=True)))


@dataclass(frozen=True, slots=True)
class Engine:
    """A DuckDB in memory. Times are UTC whatever the machine's zone."""

    connection: Any

    @classmethod
    def start(cls, *, threads: int | None = None) -> Engine:
        """Return an engine with nothing in it."""
        connection = ibis.duckdb.connect(**({} if threads is None else {"threads": threads}))
        connection.raw_sql("SET TimeZone = 'UTC'")
        connection.raw_sql("SET preserve_insertion_order = false")
        return cls(connection)

    def inputs(self, history: History) -> Inputs:
        """Return a history's tables in the engine, without a copy; earlier ones are replaced."""
        tables = {"order_lines": history.order_lines, "contacts": history.contacts, "visits": history.visits}
        return Inputs(**{name: self._put(name, table) for name, table in tables.items()})

    def inputs_of_parquet(self, order_lines: Path) -> Inputs:
        """Return order lines in Parquet as the history; no contacts or visits are known."""
        scanned = self.connection.read_parquet(order_lines, table_name="scanned")
        missing = [name for name in ORDER_LINES.names if name not in scanned.columns]
        if missing:
            raise InvalidInput(
                f"Expected a column {missing[0]!r} in {order_lines}, found {', '.join(scanned.columns)}."
            )
        # To take the zone off by a cast costs more than all features together.
        times = ", ".join(
            f'make_timestamp(epoch_us("{name}")) AS "{name}"'
            for name, kind in scanned.schema().items()
            if kind.is_timestamp() and kind.timezone is not None
        )
        replaced = f" REPLACE ({times})" if times else ""
        self.connection.raw_sql(f"CREATE OR REPLACE VIEW order_lines AS SELECT *{replaced} FROM scanned")
        lines = self.connection.table("order_lines")
        contacts, visits = (self._put(n, s.empty_table()) for n, s in (("contacts", CONTACTS), ("visits", VISITS)))
        return Inputs(lines, contacts, visits)

    def moments(self, moments: Iterable[tuple[str, datetime]]) -> Moments:
        """Return customers and moments as a table of the engine. Raises `InvalidInput` when one is there twice."""
        pairs = list(moments)
        if len(set(pairs)) < len(pairs):
            raise InvalidInput(f"Expected each customer and moment once, found {len(pairs) - len(set(pairs))} again.")
        columns = [[name for name, _ in pairs], [as_of for _, as_of in pairs]]
        table = pa.Table.from_arrays(
            [pa.array(c, t) for c, t in zip(columns, MOMENTS.types, strict=True)], schema=MOMENTS
        )
        return Moments(self._put("moments", table))

    def _put(self, name: str, table: pa.Table) -> ibis.Table:
        # DuckDB reads Arrow where it lies; a table made through Ibis would be a copy.
        self.connection.con.register(name, table.cast(without_zones(table.schema)))
        return self.connection.table(name)

    def run(self, inputs: Inputs, when: When, features: Sequence[Feature]) -> pa.Table:
        """Return the features, ordered by customer and moment; `as_of` has its zone again."""
        return self.execute(_statement(inputs, when, features))

    def execute(self, statement: str) -> pa.Table:
        """Run a statement that returns features, made for the tables that are in the engine now."""
        found = self.connection.con.execute(statement).to_arrow_table()
        at, kind = found.schema.get_field_index("as_of"), MOMENTS.field("as_of").type
        return found.set_column(at, pa.field("as_of", kind), found["as_of"].cast(pa.timestamp("us")).cast(kind))

    def write(self, inputs: Inputs, when: When, features: Sequence[Feature], path: Path) -> int:
        """Write the features to a Parquet file and return how many rows it has, without holding them in memory."""
        self.connection.to_parquet(features_table(inputs, when, features), path)
        return int(pq.read_metadata(path).num_rows)


def _statement(inputs: Inputs, when: When, features: Sequence[Feature]) -> str:
    found = features_table(inputs, when, features).order_by("customer_id", "as_of")
    return str(ibis.to_sql(found, dialect="duckdb"))


class Prepared:
    """Features ready to be computed for any history and moments: to translate them takes longer than to run them."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        # For a few customers, threads cost more than they bring.
        self._engine = Engine.start(threads=1)
        nothing = History(ORDER_LINES.empty_table(), CONTACTS.empty_table(), VISITS.empty_table())
        self._sql = _statement(self._engine.inputs(nothing), self._engine.moments(()), features)

    def at(self, history: History, moments: Iterable[tuple[str, datetime]]) -> pa.Table:
        """Return the features of customers at moments of their own, one row each, also of customers nobody knows."""
        self._engine.inputs(history)
        self._engine.moments(moments)
        return self._engine.execute(self._sql)


def features_of(history: History, features: Sequence[Feature], *, as_of: datetime) -> pa.Table:
    """Return the features of everybody known strictly before a moment, one row a customer."""
    engine = Engine.start()
    return engine.run(engine.inputs(history), Everybody(as_of.astimezone(UTC)), features)


def features_at(history: History, features: Sequence[Feature], moments: Iterable[tuple[str, datetime]]) -> pa.Table:
    """Return the features of customers at moments of their own; see `Prepared.at`."""
    return Prepared(features).at(history, moments)
