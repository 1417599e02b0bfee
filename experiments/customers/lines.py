"""Order lines that stand in Parquet already, as `experiments.history` has them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from decision.errors import InvalidInput
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History

# No prediction looks at these.
_UNREAD = frozenset({"variant", "return_reason", "store", "loyalty"})


def history_of_lines(path: Path) -> History:
    """Return order lines as the history; no contacts or visits are known. Raises `InvalidInput` for another file."""
    try:
        found = pq.read_schema(path).names
        missing = [name for name in ORDER_LINES.names if name not in found]
        if missing:
            raise InvalidInput(f"Expected a column {missing[0]!r} in {path}, found {', '.join(found)}.")
        lines = pq.read_table(path, columns=[name for name in ORDER_LINES.names if name not in _UNREAD])
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"Expected order lines in Parquet at {path}, found none: {error}.") from None
    columns = [
        pa.nulls(lines.num_rows, kind) if name in _UNREAD else lines[name].cast(kind)
        for name, kind in zip(ORDER_LINES.names, ORDER_LINES.types, strict=True)
    ]
    return History(pa.Table.from_arrays(columns, schema=ORDER_LINES), CONTACTS.empty_table(), VISITS.empty_table())
