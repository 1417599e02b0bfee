"""Laws of the encoder that training fits: which facts become numbers, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.records import ContextValue
from decision.stages.context import Column, Encoder
from experiments.encoding import FEWEST_OF_A_LEVEL, MOST_LEVELS, encode_all, fit_encoder

N = 400
Contexts = Sequence[Mapping[str, ContextValue]]


def contexts(values: Sequence[ContextValue], name: str = "fact") -> list[dict[str, ContextValue]]:
    return [{name: value} for value in values]


def column(values: Sequence[ContextValue]) -> Column | None:
    columns = fit_encoder(contexts(values)).columns
    assert len(columns) <= 1
    return columns[0] if columns else None


def normal(n: int = N, *, seed: int = 1) -> list[float]:
    found: list[float] = np.random.default_rng(seed).normal(50.0, 10.0, n).tolist()
    return found


@pytest.mark.parametrize("value", [0.0, 1.0, 59.9, 0.1, 1 / 3, -7.7, 1e9, "gold", None])
def test_a_fact_that_never_varies_is_dropped(value: ContextValue) -> None:
    """59.9 a thousand times has a standard deviation of 1e-14 in floating point: it must not become a scale."""
    assert column([value] * 1_000) is None


def test_nothing_at_all_gives_vectors_of_length_zero() -> None:
    encoder = fit_encoder([{} for _ in range(N)])
    assert encoder.width == 0
    assert encode_all(encoder, [{}, {"new": 1.0}]).shape == (2, 0)


def test_no_contexts_give_no_rows() -> None:
    encoder = fit_encoder(contexts(normal()))
    assert encode_all(encoder, []).shape == (0, 1)


def test_a_number_is_standardised() -> None:
    x = encode_all(fit_encoder(contexts(normal())), contexts(normal()))
    assert x.shape == (N, 1)
    values = normal()
    inner = np.abs(x[:, 0]) < 2.0
    expected = (np.array(values) - np.mean(values)) / np.std(values)
    np.testing.assert_allclose(x[inner, 0], expected[inner], rtol=1e-12)


def test_a_number_beyond_what_training_saw_is_taken_for_its_edge() -> None:
    """Nobody knows what an effect does out there; a line drawn on would promise anything."""
    encoder = fit_encoder(contexts(normal()))
    edges = np.quantile(encode_all(encoder, contexts(normal())), [0.0, 1.0])
    beyond = encode_all(encoder, [{"fact": 1e9}, {"fact": -1e9}])[:, 0]
    np.testing.assert_allclose(beyond, edges[::-1])
    assert (np.abs(edges) < 4.0).all()


def test_of_a_fact_that_is_nearly_always_the_same_the_rest_is_kept() -> None:
    rare = [0.0] * 996 + [1.0] * 4
    x = encode_all(fit_encoder(contexts(rare)), contexts(rare))[:, 0]
    assert len(np.unique(x)) == 2


def test_a_skewed_number_goes_by_its_logarithm() -> None:
    skewed = np.random.default_rng(1).lognormal(3.0, 1.2, N)
    found = column(skewed.tolist())
    assert found is not None
    assert found.log
    assert found.centre == pytest.approx(np.log1p(skewed).mean())
    assert found.scale == pytest.approx(np.log1p(skewed).std())


def test_a_number_that_is_not_skewed_stays_as_it_is() -> None:
    found = column(normal())
    assert found is not None
    assert not found.log


def test_a_skewed_number_with_negatives_stays_as_it_is() -> None:
    skewed = np.random.default_rng(1).lognormal(3.0, 1.2, N).tolist()
    assert column(skewed).log  # type: ignore[union-attr]
    assert column([*skewed, 0.0]).log  # type: ignore[union-attr]
    assert not column([*skewed, -0.01]).log  # type: ignore[union-attr]


def test_absence_gets_a_column_of_its_own_where_it_occurs() -> None:
    values: list[ContextValue] = [*normal(), *[None] * FEWEST_OF_A_LEVEL]
    encoder = fit_encoder(contexts(values))
    assert encoder.labels == ("fact", "fact is missing")
    x = encode_all(encoder, contexts(values))
    np.testing.assert_array_equal(x[N:], [[0.0, 1.0]] * FEWEST_OF_A_LEVEL)
    assert not x[:N, 1].any()


def test_absence_that_hardly_occurs_counts_as_average() -> None:
    encoder = fit_encoder(contexts([*normal(), *[None] * (FEWEST_OF_A_LEVEL - 1)]))
    assert encoder.labels == ("fact",)
    assert encoder.encode({"fact": None}).tolist() == [0.0]
    assert encoder.encode({}).tolist() == [0.0]


def test_a_fact_that_hardly_anyone_has_is_no_column_of_absence() -> None:
    """Five known values of 405: their absence says nothing, and hardly do they."""
    found = column([*normal(5), *[None] * N])
    assert found is not None
    assert not found.missing


def test_where_a_number_is_always_the_same_only_its_absence_tells() -> None:
    encoder = fit_encoder(contexts([*[59.9] * N, *[None] * N]))
    assert encoder.encode({"fact": None}).tolist() == [0.0, 1.0]
    assert encoder.encode({"fact": 59.9}).tolist() == [0.0, 0.0]
    # Nothing is known of what another number would do.
    np.testing.assert_allclose(encoder.encode({"fact": 5_000.0}), [0.0, 0.0], atol=1e-6)


def test_a_category_gets_one_column_a_level() -> None:
    encoder = fit_encoder(contexts(["gold", "silver", "none"] * N))
    assert encoder.labels == ("fact=gold", "fact=none", "fact=silver")
    assert encoder.encode({"fact": "none"}).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("value", ["bronze", None, "", "GOLD"])
def test_an_unknown_or_absent_level_becomes_zeros(value: ContextValue) -> None:
    encoder = fit_encoder(contexts(["gold", "silver"] * N))
    assert encoder.encode({"fact": value}).tolist() == [0.0, 0.0]


def test_rare_levels_share_the_zeros() -> None:
    rare = ["bronze"] * (FEWEST_OF_A_LEVEL - 1)
    found = column([*["gold", "silver"] * N, *rare])
    assert found is not None
    assert found.levels == ("gold", "silver")
    assert column([*["gold"] * N, *rare]).levels == ("gold",)  # type: ignore[union-attr]


def test_a_category_of_rare_levels_only_is_dropped() -> None:
    assert column([f"product-{i}" for i in range(N)]) is None


def test_only_the_most_frequent_levels_are_kept() -> None:
    values = [f"level-{i:02d}" for i in range(MOST_LEVELS + 5) for _ in range(FEWEST_OF_A_LEVEL + MOST_LEVELS + 5 - i)]
    found = column(values)
    assert found is not None
    assert found.levels == tuple(f"level-{i:02d}" for i in range(MOST_LEVELS))


def facts() -> dict[str, list[ContextValue]]:
    rng = np.random.default_rng(4)
    return {
        "age": [None if rng.random() < 0.1 else float(v) for v in rng.normal(40.0, 12.0, N)],
        "spend": rng.lognormal(4.0, 1.5, N).tolist(),
        "tier": rng.choice(["gold", "silver", "none"], N).tolist(),
        "constant": [1.0] * N,
    }


@pytest.mark.parametrize("name", ["age", "spend", "tier"])
def test_the_encoding_of_a_fact_does_not_depend_on_the_others(name: str) -> None:
    every, alone = facts(), facts()[name]
    rows = [{key: values[i] for key, values in every.items()} for i in range(N)]
    together = {c.name: c for c in fit_encoder(rows).columns}
    assert set(together) == {"age", "spend", "tier"}
    assert (together[name],) == fit_encoder(contexts(alone, name)).columns


def test_the_order_of_customers_and_of_facts_does_not_matter() -> None:
    every = facts()
    rows = [{key: values[i] for key, values in every.items()} for i in range(N)]
    backwards = [dict(reversed(row.items())) for row in reversed(rows)]
    one, two = fit_encoder(rows), fit_encoder(backwards)
    assert one.labels == two.labels
    np.testing.assert_allclose(encode_all(one, rows), encode_all(two, rows), atol=1e-12)


def test_the_service_encodes_as_training_did() -> None:
    """By way of the manifest's columns, as they are written into a bundle."""
    every = facts()
    rows = [{key: values[i] for key, values in every.items()} for i in range(N)]
    encoder = fit_encoder(rows)
    written = msgspec.json.encode(encoder.columns)
    served = Encoder(msgspec.json.decode(written, type=tuple[Column, ...]))
    np.testing.assert_array_equal(encode_all(encoder, rows), [served.encode(row) for row in rows])


anything: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["a", "b", ""])
)


@given(st.lists(st.dictionaries(st.sampled_from(["x", "y"]), anything), max_size=60), anything)
def test_whatever_was_seen_every_context_becomes_finite_numbers(seen: Contexts, new: ContextValue) -> None:
    encoder = fit_encoder(seen)
    x = encode_all(encoder, [*seen, {"x": new}])
    assert x.shape == (len(seen) + 1, encoder.width)
    assert np.isfinite(x).all()
