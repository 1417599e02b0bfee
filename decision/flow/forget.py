"""The use cases of a person's rights: all that is held about her, and that none of it leads to her any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from decision.errors import NotFound
from decision.ledger.base import Act
from decision.ledger.connection import CALLERS_PATIENCE
from decision.ledger.forget import Forgotten, pseudonymise
from decision.ledger.group_commit import TURN_SECONDS
from decision.ledger.sqlite import SqliteLedger
from decision.ledger.subject import about
from decision.programme.model import Programme
from decision.stages.groups import assign, is_held_out

PREFIX = "forgotten-"
# How long a caller waits for a decision to be written, and a leader for its turn.
UNDER_WAY = CALLERS_PATIENCE + TURN_SECONDS


def customer_export(path: Path, customer_id: str) -> dict[str, Any]:
    """Return everything that the ledger at `path` holds about a customer, ready for JSON. Raises `NotFound`."""
    found = about(path, customer_id)
    if not any(found.values()):
        raise _unknown(customer_id)
    held: dict[str, Any] = msgspec.to_builtins({"customer_id": customer_id} | found, str_keys=True)
    return held


def forget(
    path: Path,
    customer_id: str,
    *,
    programme: Programme,
    names: Callable[[], str],
    actor: str,
    now: datetime,
    wait: Callable[[float], None] = time.sleep,
) -> Forgotten:
    """Make everything about a customer in the ledger at `path` anonymous; figures stay as they are.

    `names` draws random names. Hers is drawn until it falls into her measurement group and her side of the evaluation
    set, so that both keep their size; of who she was it tells no more than that.

    A decision that was under way is refused for having seen another past than hers, which is none now. Where she had no
    decision yet none can be seen: what came within `UNDER_WAY` seconds is looked for again, after a `wait`.

    Raises
    ------
    NotFound : nothing is held about her.
    """
    if not any(about(path, customer_id).values()):
        raise _unknown(customer_id)

    def place(name: str) -> tuple[object, bool]:
        group = assign(name, salt=programme.salt, shares=programme.shares)
        return group, is_held_out(name, salt=programme.salt)

    def new_name() -> str:
        return PREFIX + names()

    new_id = new_name()
    while place(new_id) != place(customer_id):
        new_id = new_name()

    def act(found: Forgotten) -> Act:
        return Act(now, actor, "customer forgotten", {"decisions": found.decisions, "events": found.events})

    SqliteLedger(path).close()
    done = pseudonymise(path, customer_id, new_id=new_id, names=new_name, act=act)
    if done.decisions:
        return done
    wait(UNDER_WAY)
    if not any(about(path, customer_id).values()):
        return done
    return done.plus(pseudonymise(path, customer_id, new_id=new_id, names=new_name, act=act))


def _unknown(customer_id: str) -> NotFound:
    return NotFound(f"Expected a customer that the ledger knows, found {customer_id!r}.")
