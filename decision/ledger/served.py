"""What serves in SQLite: promotions, beliefs of bandits, and prices of scarce budgets; rows are only ever appended."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

import msgspec

from decision.errors import LedgerError
from decision.ledger.base import Act, PosteriorRecord, PriceRecord, Promotion
from decision.ledger.codec import from_us, to_us
from decision.ledger.keys import append
from decision.stages.guardrails import Used
from decision.stages.pacing import Price


def posterior(db: sqlite3.Connection, bundle_version: str, *, after: int = 0) -> PosteriorRecord | None:
    """Return the belief of a bundle after another, if any. Raises `LedgerError` where its bytes fail their hash."""
    row = db.execute(
        "SELECT seq, through, n, sha256, data FROM posteriors WHERE bundle_version = ? AND seq > ? "
        "ORDER BY seq DESC LIMIT 1",
        [bundle_version, after],
    ).fetchone()
    if row is None:
        return None
    seq, through, n, sha256, data = row
    if hashlib.sha256(data).hexdigest() != sha256:
        raise LedgerError(f"Expected the belief {seq} of {bundle_version} to match its hash, it does not.")
    return PosteriorRecord(bundle_version, seq, from_us(through), n, data)


def record_posterior(db: sqlite3.Connection, record: PosteriorRecord) -> None:
    """Write a belief."""
    db.execute(
        "INSERT INTO posteriors (bundle_version, through, n, sha256, data) VALUES (?, ?, ?, ?, ?)",
        [
            record.bundle_version,
            to_us(record.through),
            record.n,
            hashlib.sha256(record.data).hexdigest(),
            record.data,
        ],
    )


def shadow_price(db: sqlite3.Connection, budget: str) -> PriceRecord | None:
    """Return the last price of a budget."""
    row = db.execute(
        "SELECT budget_key, at, per_money, per_use, amount_micros, count FROM shadow_prices WHERE budget = ? "
        "ORDER BY seq DESC LIMIT 1",
        [budget],
    ).fetchone()
    if row is None:
        return None
    key, at, per_money, per_use, amount, count = row
    return PriceRecord(key, from_us(at), Price(per_money, per_use), Used(amount, count))


def record_shadow_prices(db: sqlite3.Connection, records: Sequence[PriceRecord]) -> None:
    """Write prices."""
    for r in records:
        budget, used = r.budget_key.partition("|")[0], (r.used.amount_micros, r.used.count)
        db.execute(
            "INSERT INTO shadow_prices (budget, budget_key, at, per_money, per_use, amount_micros, count) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [budget, r.budget_key, to_us(r.at), r.price.per_money, r.price.per_use, *used],
        )


def promotions(db: sqlite3.Connection) -> list[Promotion]:
    """Return all promotions, oldest first."""
    rows = db.execute("SELECT bundle_version, kind, reason, verdict, at FROM promotions ORDER BY seq")
    return [
        Promotion(version, kind, reason, tuple(msgspec.json.decode(verdict)), from_us(at))
        for version, kind, reason, verdict, at in rows
    ]


def record_promotion(db: sqlite3.Connection, promotion: Promotion, *, actor: str) -> None:
    """Write a promotion or rollback, and who did it."""
    db.execute(
        "INSERT INTO promotions (bundle_version, kind, reason, verdict, at) VALUES (?, ?, ?, ?, ?)",
        [
            promotion.bundle_version,
            promotion.kind,
            promotion.reason,
            msgspec.json.encode(promotion.verdict).decode(),
            to_us(promotion.at),
        ],
    )
    detail = {"bundle": promotion.bundle_version, "reason": promotion.reason}
    append(db, Act(promotion.at, actor, promotion.kind, detail))
