"""The answer where there is no decision: control, with the reason. The service and its client give the same."""

from __future__ import annotations

from datetime import datetime

from decision.api.schemas import ActionAnswer, DecisionAnswer, Odds, ReasonAnswer

POLICY_VERSION = "fallback"


def fallback(decision_id: str, *, code: str, detail: str, now: datetime) -> DecisionAnswer:
    """Return control, not written down, for the reason of a code and a sentence."""
    return DecisionAnswer(
        decision_id=decision_id,
        action=ActionAnswer("control", "none", "control", "none", {}, None),
        propensity=1.0,
        group=None,
        policy_version=POLICY_VERSION,
        decided_at=now,
        expires_at=None,
        reasons=(ReasonAnswer(code, detail),),
        rejected=(),
        repurchase_odds=Odds(None, None),
        recorded=False,
    )
