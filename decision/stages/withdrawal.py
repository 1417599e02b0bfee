"""What the log says of a decision whose caller was answered control because it came too late."""

from __future__ import annotations

from msgspec import structs

from decision.records import CONTROL, Decision, Reason

TOO_LATE = "Encore could not decide before its deadline; nothing was promised"


def withdrawn(decision: Decision) -> Decision:
    """Return a decision as its caller heard of it: control, with certainty, as where nothing else is allowed."""
    place = decision.allowed.index(CONTROL)
    return structs.replace(
        decision,
        action_id=CONTROL,
        propensity=1.0,
        allowed=(CONTROL,),
        distribution=(1.0,),
        predictions={name: (values[place],) for name, values in decision.predictions.items()},
        reasons=((Reason.DEADLINE.value, TOO_LATE),),
        expires_at=None,
        contact_cost_micros=0,
        coupon=None,
        redemption_cost_micros=0,
        redemption_share=0.0,
        promise=None,
        recommended=None,
    )
