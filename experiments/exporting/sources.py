"""The tables of an export as chunks of flat rows, read from the ledger in the order of writing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from decision.ledger.base import Ledger
from decision.ledger.codec import DECISION_COLUMNS, decision_of, from_us
from decision.programme.model import Programme
from decision.records import Decision
from decision.stages.groups import is_held_out
from experiments.exporting.columns import CONTEXT, DECISIONS, OUTCOMES, PROPENSITIES, REWARDS, Column, context_columns

TABLES = ("decisions", "outcomes", "rewards", "propensities")
CHUNK = 5_000
Record = dict[str, Any]
_COLUMNS = tuple(name.strip() for name in DECISION_COLUMNS.split(","))


@dataclass(frozen=True, slots=True)
class Source:
    """A table to export. Each chunk comes with how many records of the ledger it took."""

    columns: tuple[Column, ...]
    chunks: Callable[[], Iterator[tuple[int, list[Record]]]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How many records of each table belong to the export; the ledger only grows, so the first n stay the same.

    Decisions are counted last: every reward of the export has its decision in it.
    """

    rewards: int
    outcomes: int
    decisions: int

    @classmethod
    def of(cls, ledger: Ledger) -> Snapshot:
        """Return the counts of now."""
        first = ledger.counts()
        return cls(first["rewards"], first["outcomes"], ledger.counts()["decisions"])

    def length(self, table: str) -> int:
        """Return how many records of the ledger a table of the export is made from."""
        return {"rewards": self.rewards, "outcomes": self.outcomes}.get(table, self.decisions)


def sources(ledger: Ledger, programme: Programme, snapshot: Snapshot) -> Mapping[str, Callable[[], Source]]:
    """Return how to make the source of each table, by name."""
    return {
        "decisions": lambda: _decisions(ledger, programme, snapshot.decisions),
        "outcomes": lambda: _outcomes(ledger, snapshot.outcomes),
        "rewards": lambda: _rewards(ledger, snapshot.rewards),
        "propensities": lambda: _propensities(ledger, snapshot.decisions),
    }


def _chunks(ledger: Ledger, table: str, n: int) -> Iterator[list[Record]]:
    rows = islice(ledger.rows(table), n)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _decision(row: Record) -> Decision:
    return decision_of(tuple(row[name] for name in _COLUMNS))


def _decisions(ledger: Ledger, programme: Programme, n: int) -> Source:
    facts = context_columns(_context_kinds(ledger, n), programme)

    def chunks() -> Iterator[tuple[int, list[Record]]]:
        for chunk in _chunks(ledger, "decisions", n):
            yield len(chunk), [_decision_record(row["seq"], _decision(row), facts, programme.salt) for row in chunk]

    return Source(DECISIONS + facts, chunks)


class _Contexts(msgspec.Struct):
    context: dict[str, float | str | None]


def _context_kinds(ledger: Ledger, n: int) -> dict[str, type | None]:
    """Return every fact that any context has, with its type; text where decisions differ over time."""
    decoder = msgspec.json.Decoder(_Contexts)
    kinds: dict[str, type | None] = {}
    for row in islice(ledger.rows("decisions"), n):
        for name, value in decoder.decode(row["body"]).context.items():
            if value is None:
                kinds.setdefault(name, None)
            elif kinds.get(name) is not str:
                kinds[name] = type(value)
    return kinds


def _decision_record(seq: int, decision: Decision, facts: Sequence[Column], salt: str) -> Record:
    record = {
        "seq": seq,
        "decision_id": decision.decision_id,
        "customer_id": decision.customer_id,
        "decided_at": decision.decided_at,
        "matures_at": decision.matures_at,
        "group": decision.group.value,
        "held_out": is_held_out(decision.customer_id, salt=salt),
        "action_id": decision.action_id,
        "propensity": decision.propensity,
        "policy_version": decision.policy_version,
        "allowed": _json(decision.allowed),
        "distribution": _json(decision.distribution),
        "predictions": _json(decision.predictions),
        "rejected": _json([(r.action_id, r.reason.value, r.detail) for r in decision.rejected]),
        "reasons": _json(decision.reasons),
        "trigger": decision.trigger,
        "store": decision.store,
        "order_id": decision.order_id or None,
        "expires_at": decision.expires_at,
        "contact_cost_micros": decision.contact_cost_micros,
        "coupon": decision.coupon,
        "fingerprint": decision.fingerprint,
        "profile_sources": _json([(s.name, s.as_of.isoformat(), s.version) for s in decision.profile_sources]),
    }
    for column in facts:
        value = decision.context.get(column.name.removeprefix(CONTEXT))
        record[column.name] = value if value is None or column.kind != "text" else str(value)
    return record


def _propensities(ledger: Ledger, n: int) -> Source:
    def chunks() -> Iterator[tuple[int, list[Record]]]:
        for chunk in _chunks(ledger, "decisions", n):
            yield len(chunk), [record for row in chunk for record in _chances(_decision(row))]

    return Source(PROPENSITIES, chunks)


def _chances(decision: Decision) -> Iterator[Record]:
    for action_id, probability in zip(decision.allowed, decision.distribution, strict=True):
        yield {
            "decision_id": decision.decision_id,
            "action_id": action_id,
            "probability": probability,
            "repurchase": decision.prediction("repurchase", action_id),
            "value": decision.prediction("value", action_id),
        }


def _outcomes(ledger: Ledger, n: int) -> Source:
    def chunks() -> Iterator[tuple[int, list[Record]]]:
        for chunk in _chunks(ledger, "outcomes", n):
            for row in chunk:
                row["occurred_at"], row["received_at"] = from_us(row["occurred_at"]), from_us(row["received_at"])
            yield len(chunk), chunk

    return Source(OUTCOMES, chunks)


def _rewards(ledger: Ledger, n: int) -> Source:
    def chunks() -> Iterator[tuple[int, list[Record]]]:
        latest = _latest(row["decision_id"] for row in islice(ledger.rows("rewards"), n))
        start = 0
        for chunk in _chunks(ledger, "rewards", n):
            for place, row in enumerate(chunk, start=start):
                row["latest"] = bool(latest[place])
                row["computed_at"] = from_us(row["computed_at"])
                first = row["first_order_at"]
                row["first_order_at"] = None if first is None else from_us(first)
                row.update({name: bool(row[name]) for name in ("visited", "repurchased", "redeemed")})
            start += len(chunk)
            yield len(chunk), chunk

    return Source(REWARDS, chunks)


def _latest(decision_ids: Iterator[str]) -> NDArray[np.bool_]:
    """Return for each reward [n] whether it is the last of its decision.

    Ids are held as 64-bit hashes, 8 bytes a reward: two of ten million would be taken for one with odds of 3e-6.
    """
    hashes = np.fromiter(map(_hash, decision_ids), dtype=np.uint64)
    _, from_the_end = np.unique(hashes[::-1], return_index=True)
    latest = np.zeros(len(hashes), dtype=bool)
    latest[len(hashes) - 1 - from_the_end] = True
    return latest


def _hash(decision_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(decision_id.encode(), digest_size=8).digest(), "little")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
