"""The command that hands out what was ranked."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from decision.stages.ranking import RankedEvent
from decision.wiring import Home


@click.command()
@click.pass_obj
def ranks(home: Home) -> None:
    """Print the ranked events of Personalizer's clients, a line of JSON each, with probabilities and rewards."""
    for event, reward in home.ledger().ranks.every():
        click.echo(msgspec.json.encode(row_of(event, reward)))


def row_of(event: RankedEvent, reward: tuple[float | None] | None) -> dict[str, Any]:
    """Return an event as a row; `learned` is null until its wait is over, false where nobody was shown the action."""
    return {
        "event_id": event.event_id,
        "ranked_at": event.ranked_at,
        "due_at": event.due_at,
        "deferred": event.deferred,
        "model_version": event.model_version,
        "context": event.context,
        "actions": [{"id": action.action_id, "features": action.features} for action in event.actions],
        "probabilities": event.probabilities,
        "chosen": event.actions[event.chosen].action_id,
        "propensity": event.probabilities[event.chosen],
        "learned": None if reward is None else reward[0] is not None,
        "reward": None if reward is None else reward[0],
    }
