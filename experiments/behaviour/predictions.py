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

_DOUBLE, _TEXT, _DATE, _INT = pa.float64(), pa.string(), pa.date32(), pa.int64()
# name: (type, unit, what it says and when it is null)
COLUMNS: Mapping[str, tuple[pa.DataType, str, str]] = {
    "customer_id": (_TEXT, "", "the customer"),
    "purchases": (_INT, "days", "days on which she bought"),
    "last_purchase": (_DATE, "date", "her last purchase"),
    "usual_gap_days": (_DOUBLE, "days", "between her purchases, shrunk towards the shop's where she has few"),
    "repurchase_30": (_DOUBLE, "probability", "that she buys within 30 days; null without enough data"),
    "repurchase_60": (_DOUBLE, "probability", "that she buys within 60 days; null without enough data"),
    "repurchase_90": (_DOUBLE, "probability", "that she buys within 90 days; null without enough data"),
    "repurchase_90_low": (_DOUBLE, "probability", "lower end of its 95 % interval"),
    "repurchase_90_high": (_DOUBLE, "probability", "upper end of its 95 % interval"),
    "churn": (_DOUBLE, "probability", "that she does not buy within `churn_days`; null without enough data"),
    "churn_days": (_DOUBLE, "days", "twice her usual gap, at least 30: her own rhythm decides what long is"),
    "next_purchase": (_DATE, "date", "when her next purchase is expected, if it comes within a season or her own time"),
    "next_purchase_low": (_DATE, "date", "before it with 10 % chance, if it comes"),
    "next_purchase_high": (_DATE, "date", "after it with 10 % chance, if it comes"),
    "next_category": (_TEXT, "", "what it is likeliest to be of; null where no category is known"),
    "clv": (_DOUBLE, "currency", "margin after returns within the horizon; by rule without enough data"),
    "clv_low": (_DOUBLE, "currency", "a tenth of customers like her bring less; null without enough data"),
    "clv_high": (_DOUBLE, "currency", "a tenth of customers like her bring more; null without enough data"),
    "first_time": (pa.bool_(), "", "she bought once: `repurchase_90` says whether she is likely to buy again"),
    "late": (pa.bool_(), "", "she bought once, and those who return have done so by now; null without enough data"),
    "best_channel": (_TEXT, "", "what reaches her best; null where none is known"),
    "best_channel_rate": (_DOUBLE, "probability", "that a contact there is followed by a purchase; null by rule"),
    "engagement": (_DOUBLE, "points", "what she did, by the shop's own weights, forgotten with time"),
    "recency": (_INT, "1 to 5", "5: silent shortest"),
    "frequency": (_INT, "1 to 5", "5: bought most often"),
    "money": (_INT, "1 to 5", "5: spent most"),
    "rfm": (_TEXT, "", "the segment that recency and frequency make"),
    "grid": (_TEXT, "", "purchase probability and churn: `likely` or `unlikely`, `staying`, `slipping` or `leaving`"),
}
SCHEMA = pa.schema([pa.field(name, kind) for name, (kind, _, _) in COLUMNS.items()])


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
