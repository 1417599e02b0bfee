"""The channel that reaches a customer best: what followed her contacts, shrunk towards what followed everybody's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decision.records import FloatArray
from experiments.behaviour.enough import CHANNEL, CONTACTS, Verdict
from experiments.behaviour.shares import wilson

# Contacts of an average customer that count as hers.
PRIOR = 10.0


@dataclass(frozen=True, slots=True)
class ChannelResponse:
    """Share of contacts after which customers bought, by channel [C], with Wilson's 95 % interval."""

    channels: tuple[str, ...]
    contacts: FloatArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray


def channel_response(contacts: pa.Table) -> tuple[ChannelResponse | None, Verdict]:
    """Return what followed contacts, or None where there were too few."""
    known = contacts.filter(pc.is_valid(contacts["channel"]))
    verdict = CHANNEL.verdict({CONTACTS: known.num_rows})
    if not verdict.enough:
        return None, verdict
    by = known.append_column("bought", pc.is_valid(known["converted_at"]).cast(pa.float64()))
    found = by.group_by("channel").aggregate([("bought", "sum"), ("bought", "count")]).sort_by("channel")
    n, hits = found["bought_count"].to_numpy().astype(float), found["bought_sum"].to_numpy()
    rate = hits / n
    return ChannelResponse(tuple(found["channel"].to_pylist()), n, rate, *wilson(rate, n)), verdict


def best_channels(
    contacts: pa.Table, names: tuple[str, ...], response: ChannelResponse
) -> tuple[list[str], FloatArray]:
    """Return each customer's best channel and her expected share of contacts followed by a purchase in it, [N].

    Her own contacts come on top of ten average ones in each channel, so that one answer is not taken for a habit.
    """
    n, c = len(names), len(response.channels)
    place = pc.index_in(contacts["customer_id"], value_set=pa.array(names, pa.string()))
    kind = pc.index_in(contacts["channel"], value_set=pa.array(response.channels, pa.string()))
    keep = pc.and_(pc.is_valid(place), pc.is_valid(kind))
    who = place.filter(keep).to_numpy().astype(np.int64) * c + kind.filter(keep).to_numpy().astype(np.int64)
    bought = pc.is_valid(contacts["converted_at"]).filter(keep).to_numpy(zero_copy_only=False).astype(float)
    tried = np.bincount(who, minlength=n * c).reshape(n, c)
    hits = np.bincount(who, bought, minlength=n * c).reshape(n, c)
    rates = (hits + PRIOR * response.rate) / (tried + PRIOR)
    best = rates.argmax(axis=1)
    return [response.channels[b] for b in best], np.asarray(rates[np.arange(n), best])


def latest_channels(lines: pa.Table, names: tuple[str, ...]) -> list[str | None]:
    """Return the channel of each customer's latest order, the rule where contacts are too few."""
    return last_known(lines.filter(pc.is_valid(lines["channel"])), "channel", names)


def last_known(lines: pa.Table, column: str, names: tuple[str, ...]) -> list[str | None]:
    """Return what each customer's latest line says, None where she has none."""
    ordered = lines.select(["customer_id", "at", column]).sort_by("at")
    # In one thread, so that the last is the latest.
    latest = ordered.group_by("customer_id", use_threads=False).aggregate([(column, "last")])
    place = pc.index_in(pa.array(names, pa.string()), value_set=latest["customer_id"].combine_chunks())
    found: list[str | None] = latest[f"{column}_last"].take(place).to_pylist()
    return found
