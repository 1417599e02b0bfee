"""An engagement score in points, by weights that the shop sets: what a customer did, each forgotten with time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decision.errors import InvalidInput
from decision.records import FloatArray

USUAL: Mapping[str, float] = {"purchase": 10.0, "return": -3.0, "visit": 1.0, "opened": 1.0, "clicked": 3.0}


@dataclass(frozen=True, slots=True)
class Engagement:
    """Points for each thing done, of which half is left after `half_life_days`."""

    points: Mapping[str, float] = field(default_factory=lambda: USUAL)
    half_life_days: float = 60.0

    def __post_init__(self) -> None:
        """Raise `InvalidInput` for something that is not counted."""
        if strangers := set(self.points) - set(USUAL):
            raise InvalidInput(
                f"Expected points for some of {', '.join(USUAL)}; found {', '.join(sorted(strangers))}.",
                hint="What a shop does not tell of simply gives no points.",
            )
        if self.half_life_days <= 0:
            raise InvalidInput(f"Expected a half-life above 0 days, found {self.half_life_days:g}.")


def engagement(
    tables: Mapping[str, pa.Table], names: tuple[str, ...], engagement: Engagement, *, as_of: datetime
) -> FloatArray:
    """Return the points of the customers `names`, [N], from `order_lines`, `contacts` and `visits` as of a moment."""
    total = np.zeros(len(names))
    lines = tables["order_lines"]
    done = [("purchase", _orders(lines, returned=False), "at"), ("return", _orders(lines, returned=True), "at")]
    done += [(name, tables[table], at) for name, table, at in (
        ("visit", "visits", "at"), ("opened", "contacts", "opened_at"), ("clicked", "contacts", "clicked_at")
    ) if table in tables]  # fmt: skip
    for name, table, column in done:
        weight = engagement_points(engagement, name)
        if weight and table.num_rows:
            total += weight * _remembered(table, column, names, engagement.half_life_days, as_of)
    return total


def engagement_points(engagement: Engagement, name: str) -> float:
    """Return the points for one thing done; 0 where the shop gives none."""
    return engagement.points.get(name, 0.0)


def _orders(lines: pa.Table, *, returned: bool) -> pa.Table:
    some = lines.filter(pc.equal(lines["is_return"], returned))
    return some.group_by(["customer_id", "order_id"]).aggregate([("at", "min")]).rename_columns(
        ["customer_id", "order_id", "at"]
    )  # fmt: skip


def _remembered(table: pa.Table, column: str, names: tuple[str, ...], half_life: float, as_of: datetime) -> FloatArray:
    known = table.filter(pc.less(table[column], pa.scalar(as_of, table.schema.field(column).type)))
    place = pc.index_in(known["customer_id"], value_set=pa.array(names, pa.string()))
    seconds = pc.cast(known[column], pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() / 1e6
    left = 0.5 ** ((as_of.timestamp() - seconds) / 86_400.0 / half_life)
    found = place.is_valid().to_numpy()
    return np.asarray(np.bincount(place.drop_null().to_numpy(), left[found], minlength=len(names)), float)
