"""The use case: a person or the gate changes the champion; running servers follow by themselves."""

from __future__ import annotations

from datetime import datetime

from decision.bundle.store import Bundle, BundleStore
from decision.errors import InvalidBundle, NotFound
from decision.ledger.base import Ledger, Promotion
from decision.programme.model import Programme
from decision.serving import champion_from


def champion_version(ledger: Ledger) -> str | None:
    """Return the version that serves now, or None before the first promotion."""
    promotions = ledger.promotions()
    return promotions[-1].bundle_version if promotions else None


def promote(
    version: str,
    *,
    programme: Programme,
    bundles: BundleStore,
    ledger: Ledger,
    reason: str,
    verdict: tuple[str, ...],
    now: datetime,
) -> Bundle:
    """Make a bundle the champion.

    Raises
    ------
    NotFound : there is no such bundle.
    InvalidBundle : it fails its checks, or shares no treatment with the programme.
    """
    bundle = bundles.read(version)
    champion_from(bundle)
    known = {action.action_id for action in programme.actions if not action.is_control}
    if not known.intersection(bundle.manifest.actions):
        raise InvalidBundle(
            f"Expected {version} to know an action of the programme, it knows {', '.join(bundle.manifest.actions)}.",
            hint="Train again with this programme.",
        )
    ledger.record_promotion(Promotion(version, "promote", reason, verdict, now))
    return bundle


def rollback(*, bundles: BundleStore, ledger: Ledger, reason: str, now: datetime) -> str:
    """Make the champion before the present one serve again, and return its version.

    Rolling back twice goes back two steps, not forth again.

    Raises
    ------
    NotFound : there is no earlier champion.
    InvalidBundle : the earlier bundle fails its checks.
    """
    serving: list[str] = []
    for promotion in ledger.promotions():
        if promotion.kind != "promote":
            serving.pop()
        elif serving[-1:] != [promotion.bundle_version]:
            serving.append(promotion.bundle_version)
    if len(serving) < 2:
        raise NotFound("Expected an earlier champion to go back to, found none.", hint="See `encore policy`.")
    version = serving[-2]
    champion_from(bundles.read(version))
    ledger.record_promotion(Promotion(version, "rollback", reason, (), now))
    return version
