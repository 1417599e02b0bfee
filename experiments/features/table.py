"""The table of features as one expression, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
from ibis import Table, Value

from experiments.features.feature import Feature, Over
from experiments.features.sources import Everybody, Inputs, When, derived, keys_of, rows_of


def features_table(inputs: Inputs, when: When, features: Sequence[Feature]) -> Table:
    """Return one row for each customer and moment: `customer_id`, `as_of` (UTC, without a zone), and the features."""
    keys = keys_of(when)
    aggregated = _aggregated(inputs, when, [feature for feature in features if feature.over is not Over.ROW])
    # Over a row every other feature is at hand, so that the order of the catalogue is free.
    table = aggregated.mutate(**{f.name: f.expression(aggregated) for f in features if f.over is Over.ROW})
    as_of: Value = table.as_of if "as_of" in keys else ibis.literal(_moment(when), type="timestamp(6)")
    values = {feature.name: _typed(table[feature.name], feature) for feature in features}
    return table.select("customer_id", as_of=as_of, **values)


def _moment(when: When) -> object:
    return when.as_of.replace(tzinfo=None) if isinstance(when, Everybody) else None


def _aggregated(inputs: Inputs, when: When, features: Sequence[Feature]) -> Table:
    """Return the keys and all features that are aggregates; each source is gone through once."""
    keys, sources = keys_of(when), derived(inputs, when)
    table = rows_of(inputs, when)
    for over in dict.fromkeys(feature.over for feature in features):
        source = sources[over]
        values = {feature.name: feature.expression(source) for feature in features if feature.over is over}
        # One chain of joins is one statement; a name for each duplicate of a key keeps it one.
        table = table.left_join(source.group_by(*keys).agg(**values), list(keys), rname=f"{{name}}_of_{over}")
    return table.select(*keys, **{feature.name: _present(table[feature.name], feature) for feature in features})


def _present(value: Value, feature: Feature) -> Value:
    return value if feature.absent is None else value.fill_null(feature.absent)


def _typed(value: Value, feature: Feature) -> Value:
    return value.cast("string" if feature.kind == "category" else "float64")
