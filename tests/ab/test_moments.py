"""Sufficient statistics: they merge, engines agree, and what can't be summed is refused."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decision.errors import InvalidInput
from experiments.ab.from_duckdb import moments_by_arm, relation
from experiments.ab.moments import Moments, by_arm


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def same(a: Moments, b: Moments, rel: float = 1e-9) -> bool:
    return a.n == b.n and np.allclose(a.mean, b.mean, rtol=rel, atol=0) and np.allclose(a.scatter, b.scatter, rtol=rel)


def test_parts_merge_to_the_whole(rng: np.random.Generator) -> None:
    y, x = rng.gamma(1.0, 50.0, 5_000), rng.normal(3.0, 1.0, 5_000)
    parts = [Moments.of(y[k::7], x[k::7]) for k in range(7)]
    assert same(sum(parts, Moments.empty(2)), Moments.of(y, x))


def test_they_are_numpys_by_arm(rng: np.random.Generator) -> None:
    n = 40_000
    y, x, arm = rng.gamma(1.0, 50.0, n), rng.normal(3.0, 1.0, n), rng.integers(3, size=n)
    for k, found in enumerate(by_arm([y, x], arm, 3)):
        mine = arm == k
        assert found.n == mine.sum()
        np.testing.assert_allclose(found.mean, [y[mine].mean(), x[mine].mean()], rtol=1e-12)
        np.testing.assert_allclose(found.covariance(), np.cov(y[mine], x[mine]), rtol=1e-10)


def test_several_threads_find_the_same(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    y, arm = rng.normal(1e9, 1.0, 50_000), rng.integers(2, size=50_000)
    alone = by_arm([y], arm, 2)
    monkeypatch.setattr("experiments.ab.moments.ROWS_PER_THREAD", 10_000)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert all(same(a, b) for a, b in zip(alone, by_arm([y], arm, 2), strict=True))


def test_a_large_level_costs_no_digits(rng: np.random.Generator) -> None:
    y = rng.normal(0.0, 1.0, 20_000)
    y[0] = 500.0
    found = Moments.of(y + 1e9).covariance()[0, 0]
    assert found == pytest.approx(y.var(ddof=1), rel=1e-6)


@pytest.mark.parametrize("as_arrow", [True, False])
def test_duckdb_makes_the_same_from_parquet_and_arrow(rng: np.random.Generator, tmp_path, as_arrow: bool) -> None:
    n = 10_000
    y, x, arm = rng.gamma(1.0, 50.0, n) + 1e7, rng.normal(3.0, 1.0, n), rng.integers(2, size=n)
    table = pa.table({"spent, net": y, "x": x, "arm": [f"a{k}" for k in arm]})
    pq.write_table(table, tmp_path / "units.parquet")
    with duckdb.connect() as connection:
        source = relation(connection, table if as_arrow else tmp_path / "units.parquet")
        found = moments_by_arm(source, "arm", ["spent, net", "x"])
        capped = moments_by_arm(source, "arm", ["x"], {"x": 3.5})
    for k, expected in enumerate(by_arm([y, x], arm, 2)):
        assert same(found[f"a{k}"], expected, rel=1e-8)
    for k, expected in enumerate(by_arm([np.minimum(x, 3.5)], arm, 2)):
        assert same(capped[f"a{k}"], expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_missing_are_refused_by_every_engine(bad: float) -> None:
    y = np.array([1.0, bad, 3.0, 4.0])
    with pytest.raises(InvalidInput, match="1 value missing"):
        Moments.of(y)
    with duckdb.connect() as connection, pytest.raises(InvalidInput, match="1 value missing"):
        moments_by_arm(relation(connection, pa.table({"arm": [0, 0, 1, 1], "y": y})), "arm", ["y"])


def test_numbers_too_large_to_square_are_refused() -> None:
    with pytest.raises(InvalidInput, match="too large"):
        Moments.of(np.array([1e200, -1e200, 3.0]))
