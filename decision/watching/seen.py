"""What a request came to: noted by who answers it, counted and logged by `middleware` once it is answered."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from decision.errors import DeadlinePassed
from decision.flow.observe import Receipt
from decision.records import CONTROL, Decision, Reason

KEY = "encore.seen"
LONGEST_TRACE = 128
# Neither form has room for an address, a name or a line break.
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a call about a caller's own actions came to: `call` is rank, reward or activate.

    `outcome` is made, repeated or fallback of a ranking; taken or unknown of what was told of one. `propensity` is the
    chance that the action to take had, of a ranking that was made.
    """

    call: str
    outcome: str
    propensity: float | None = None


@dataclass(slots=True)
class Seen:
    """What is known of a request beside its status and time.

    `route` is the pattern of the address, never the address itself, which may name someone.
    `repeated` says that the decision was made before; `shed` that the request was turned away for want of capacity.
    """

    request_id: str
    trace_id: str = ""
    route: str = "none"
    decision_id: str = ""
    decision: Decision | None = None
    repeated: bool = False
    fault: Exception | None = None
    receipts: tuple[Receipt, ...] = ()
    ranking: Ranking | None = None
    shed: bool = False

    @classmethod
    def of(cls, environ: dict[str, Any]) -> Seen:
        """Return what the headers of a request say: X-Request-Id, or a new one, and the trace of W3C's traceparent."""
        asked, trace = environ.get("HTTP_X_REQUEST_ID", ""), environ.get("HTTP_TRACEPARENT", "")
        seen = cls(asked if asked and _REQUEST_ID.fullmatch(asked) else os.urandom(8).hex())
        if 0 < len(trace) <= LONGEST_TRACE and (found := _TRACE.fullmatch(trace)):
            seen.trace_id = found[1]
        return seen

    def decided(self, decision: Decision, *, repeated: bool) -> None:
        """Note the decision that was answered."""
        self.decision, self.repeated, self.decision_id = decision, repeated, decision.decision_id

    def fell_back(self, decision_id: str, fault: Exception) -> None:
        """Note that a fault was answered with control."""
        self.decision_id, self.fault = decision_id, fault

    def observed(self, receipt: Receipt) -> None:
        """Note what became of events."""
        self.receipts += (receipt,)

    @property
    def action(self) -> str:
        """Return the action that was answered; empty where none was asked for."""
        if self.decision is None:
            return CONTROL if self.fault else ""
        return self.decision.action_id

    @property
    def reason(self) -> str:
        """Return the code of the first reason for the action."""
        if self.decision is None:
            late = isinstance(self.fault, DeadlinePassed)
            return (Reason.DEADLINE if late else Reason.FAULT).value if self.fault else ""
        return self.decision.reasons[0][0] if self.decision.reasons else ""


def seen_in(environ: dict[str, Any]) -> Seen:
    """Return what is noted of a request; an application that nobody watches notes it nowhere."""
    found = environ.get(KEY)
    return found if isinstance(found, Seen) else Seen("")
