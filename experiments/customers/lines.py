"""Order lines that stand in Parquet already, as `experiments.history` has them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from decision.errors import InvalidInput
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History


def history_of_lines(path: Path) -> History:
    """Return order lines as the history; no contacts or visits are known. Raises `InvalidInput` for another file."""
    try:
        lines = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"Expected order lines in Parquet at {path}, found none: {error}.") from None
    missing = [name for name in ORDER_LINES.names if name not in lines.column_names]
    if missing:
        raise InvalidInput(f"Expected a column {missing[0]!r} in {path}, found {', '.join(lines.column_names)}.")
    return History(lines.select(ORDER_LINES.names).cast(ORDER_LINES), CONTACTS.empty_table(), VISITS.empty_table())
