from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.bench.features import by_encore, by_pandas
from experiments.bench.features.agreement import differences
from experiments.bench.features.world import AS_OF, write_lines


def test_pandas_and_encore_make_the_same_table_of_a_small_shop(tmp_path: Path) -> None:
    lines, ours, theirs = (tmp_path / f"{name}.parquet" for name in ("lines", "ours", "theirs"))
    assert write_lines(lines, customers=300, seed=1) == 3_000
    by_encore.compute(lines, AS_OF, ours)
    by_pandas.compute(lines, AS_OF, theirs)
    assert differences(ours, theirs) == {}
    table = pq.read_table(ours)
    empty = [name for name in table.column_names if set(table[name].to_pylist()) <= {None, 0.0}]
    assert empty == [], "what is always nothing is not compared"


def test_a_difference_is_seen(tmp_path: Path) -> None:
    columns = {
        "customer_id": ["a", "b"],
        "orders": [1.0, 2.0],
        "main_category": ["x", None],
        "basket_mean": [1.0, None],
    }
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    pq.write_table(pa.table(columns), first)
    changed = {
        "customer_id": ["a", "c"],
        "orders": [1.0, 2.0],
        "main_category": ["y", None],
        "basket_mean": [1.1, None],
    }
    pq.write_table(pa.table(changed), second)
    assert differences(first, first) == {}
    assert differences(first, second) == {"customers": 2, "orders": 2, "main_category": 1, "basket_mean": 1}
