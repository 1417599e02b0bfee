"""What is predicted of customers: one table, with the moment it holds for, the version that made it, and its rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from decision.errors import NotFound
from experiments.behaviour.enough import Verdict
from experiments.behaviour.meanings import COLUMNS

SCHEMA = pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, (kind, _, _) in COLUMNS.items()])


@dataclass(frozen=True, slots=True)
class Predictions:
    """A row a customer in `table` (`SCHEMA`): what was known before the day `as_of`, predicted by `version`.

    `verdicts` say for each model whether there was enough data, and if not, the rule whose answer stands instead.
    """

    as_of: date
    version: str
    clv_days: int
    table: pa.Table
    verdicts: tuple[Verdict, ...]

    def of(self, customer_id: str) -> Mapping[str, Any]:
        """Return one customer's row as plain values, with `as_of` and `version`. Raises `NotFound`."""
        row = self.table.filter(pc.equal(self.table["customer_id"], customer_id)).to_pylist()
        if not row:
            raise NotFound(
                f"Expected a customer with a purchase before {self.as_of}, found none named {customer_id!r}.",
                hint="Who has never bought has no predictions.",
            )
        return {**row[0], "as_of": self.as_of, "version": self.version}

    def rules(self) -> Mapping[str, str]:
        """Return, for each model without enough data, why and which rule was used."""
        return {verdict.model: verdict.sentence() for verdict in self.verdicts if not verdict.enough}
