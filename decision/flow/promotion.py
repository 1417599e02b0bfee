"""The use case: a person or the gate changes the champion; running servers follow by themselves."""

from __future__ import annotations

from datetime import datetime

from decision.bundle.store import Bundle, BundleStore
from decision.errors import InvalidBundle, NotFound
from decision.ledger.base import ENCORE, Ledger, Promotion
from decision.programme.model import Programme
from decision.serving import NO_BUNDLE, champion_from


def champion_version(ledger: Ledger) -> str | None:
    """Return the version that serves now, or None where business as usual does."""
    version = ([p.bundle_version for p in ledger.promotions()] or [NO_BUNDLE])[-1]
    return None if version == NO_BUNDLE else version


def promote(
    version: str,
    *,
    programme: Programme,
    bundles: BundleStore,
    ledger: Ledger,
    reason: str,
    verdict: tuple[str, ...],
    now: datetime,
    actor: str = ENCORE,
) -> Bundle:
    """Make a bundle the champion; where it is already, nothing is recorded.

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
    if champion_version(ledger) != version:
        ledger.record_promotion(Promotion(version, "promote", reason, verdict, now), actor=actor)
    return bundle


def rollback(*, bundles: BundleStore, ledger: Ledger, reason: str, now: datetime, actor: str = ENCORE) -> str | None:
    """Make what served before the present champion serve again; return its version, None for business as usual.

    Rolling back twice goes back two steps, not forth again.

    Raises
    ------
    NotFound : business as usual serves, and nothing did before.
    InvalidBundle : the earlier bundle fails its checks.
    """
    serving = [NO_BUNDLE]
    for promotion in ledger.promotions():
        if promotion.kind != "promote":
            serving.pop()
        elif serving[-1:] != [promotion.bundle_version]:
            serving.append(promotion.bundle_version)
    if len(serving) < 2:
        raise NotFound("Expected a champion to go back from, found business as usual.", hint="See `encore policy`.")
    version = serving[-2]
    if version != NO_BUNDLE:
        champion_from(bundles.read(version))
    ledger.record_promotion(Promotion(version, "rollback", reason, (), now), actor=actor)
    return champion_version(ledger)
