"""Whether two tables of features say the same. DuckDB reads them, so that a million customers fit in little memory."""

from __future__ import annotations

from pathlib import Path

from experiments.features.catalogue import catalogue

# Sums of cents in binary, in another order, then divided: what is left of a difference is rounding.
RELATIVE, ABSOLUTE = 1e-9, 1e-6


def differences(first: Path, second: Path) -> dict[str, int]:
    """Return for how many customers each feature differs, where any does; also customers that one of them lacks."""
    import duckdb

    kinds = {feature.name: feature.kind for feature in catalogue(())}
    with duckdb.connect() as db:
        both = f"FROM '{first}' a FULL JOIN '{second}' b USING (customer_id)"
        columns = [name for (name, *_) in db.execute(f"DESCRIBE SELECT * FROM '{first}'").fetchall() if name in kinds]
        sums = [f"sum(CASE WHEN {_differs(name, kinds[name])} THEN 1 ELSE 0 END)" for name in columns]
        lacking = "sum(CASE WHEN a.orders IS NULL OR b.orders IS NULL THEN 1 ELSE 0 END)"
        counts = db.execute(f"SELECT {lacking}, {', '.join(sums)} {both}").fetchone() or ()
    return {name: int(n) for name, n in zip(("customers", *columns), counts, strict=True) if n}


def _differs(name: str, kind: str) -> str:
    mine, other = f'a."{name}"', f'b."{name}"'
    if kind == "category":
        return f"{mine} IS DISTINCT FROM {other}"
    is_close = f"abs({mine} - {other}) <= {RELATIVE} * abs({other}) + {ABSOLUTE}"
    return f"({mine} IS NULL) != ({other} IS NULL) OR NOT coalesce({is_close}, true)"
