"""The use case: what would a bundle have done in the last days? Reads the ledger, writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from decision.errors import NotEnoughData
from decision.flow.learn import teaches
from decision.flow.promotion import champion_version
from decision.ledger.base import Ledger, Rewarded
from decision.records import RewardStatus
from decision.serving import Champion, champion_from
from decision.stages.groups import is_held_out
from decision.wiring import Home
from experiments.evaluate import newest
from experiments.guardrail_metrics import guardrail_metrics, net_margin
from experiments.off_policy.replay import replay_of
from experiments.off_policy.shadow import BoolArray, Shadow, shadow
from experiments.off_policy.sources import rounds_of

Progress = Callable[[Iterable[Rewarded]], Iterable[Rewarded]]


def shadow_of(
    home: Home, version: str | None, *, now: datetime, days: int, progress: Progress = iter
) -> tuple[str, Shadow]:
    """Replay a bundle (the newest by default) on the randomised decisions of the last `days` days.

    Returns the bundle's version and what it would have done, beside the champion or, before the first promotion,
    business as usual. The gain is estimated on matured decisions of customers held out from training.

    Raises
    ------
    NotFound : there is no bundle.
    NotEnoughData : the ledger holds no randomised decision of these days.
    """
    programme, ledger = home.programme(), home.ledger()
    name = version or newest(home)
    challenger, serving = champion_from(home.bundles.read(name)), champion_version(ledger)
    champion = _as_it_serves(serving, home, ledger) if serving else None
    actions = tuple(action.action_id for action in programme.actions)
    since, known = now - timedelta(days=days), frozenset(actions)
    rows = [
        row
        for row in progress(ledger.rewarded())
        if row.decision.decided_at >= since and teaches(row.decision) and row.decision.action_id in known
    ]
    if not rows:
        raise NotEnoughData(
            f"Expected randomised decisions of the last {days} days, found none.", hint="Give more days."
        )
    rounds = rounds_of(rows, replay_of(challenger, programme), catalogue=actions)
    now_serves = rounds_of(rows, replay_of(champion, programme), catalogue=actions).target
    may_judge = _final(rows) & np.array([_held_out(row, programme.salt) for row in rows])
    judges = [row for row, judge in zip(rows, may_judge.tolist(), strict=True) if judge]
    found = shadow(
        replace(rounds, reward=np.where(_final(rows), rounds.reward, 0.0)),
        now_serves,
        actions=actions,
        may_judge=may_judge,
        groups=_groups(rows),
        cluster=np.array([row.decision.customer_id for row in rows]),
        guardrails=guardrail_metrics(
            [row.decision for row in judges], net_margin(judges), programme=programme, ledger=ledger
        ),
    )
    return name, found


def _as_it_serves(version: str, home: Home, ledger: Ledger) -> Champion:
    bundle, belief = home.bundles.read(version), ledger.posterior(version)
    return champion_from(bundle, belief.data, belief.sequence) if belief else champion_from(bundle)


def _final(rows: Sequence[Rewarded]) -> BoolArray:
    return np.array([row.reward.status is RewardStatus.FINAL for row in rows])


def _held_out(row: Rewarded, salt: str) -> bool:
    return is_held_out(row.decision.customer_id, salt=salt)


def _groups(rows: Sequence[Rewarded]) -> Mapping[str, BoolArray]:
    """Customers by each level of the texts in their context, where at least 1 % of decisions have it."""
    found: dict[str, BoolArray] = {}
    for name in sorted({name for row in rows for name in row.decision.context}):
        facts = [row.decision.context.get(name) for row in rows]
        for level in sorted({fact for fact in facts if isinstance(fact, str)}):
            who = np.array([fact == level for fact in facts])
            if who.mean() >= 0.01:
                found[f"{name} = {level}"] = who
    return found
