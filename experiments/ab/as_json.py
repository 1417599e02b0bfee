"""An analysis as JSON for machines: every record as it is; what is no finite number is null."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from experiments.ab.analysis import Analysis
from experiments.ab.effect import Effect
from experiments.ab.ledger_actions import ActionEffect
from experiments.ab.planning_table import Outlooks

# Of a result; all else of it is what was decided before.
_FIGURES = ("control", "treatment", "relative", "adjusted_p_value", "guardrail", "posterior")


def entries_of(analysis: Analysis, actions: tuple[ActionEffect, ...] = ()) -> dict[str, Any]:
    """Return the analysis, and the comparison of actions where there is one, as dictionaries and lists.

    A figure that must not be read yet is null, as on every other surface: whoever has seen it has looked.
    """
    head = {
        "state": analysis.state.value,
        "sound": analysis.sound,
        "too_early": analysis.too_early,
        "clear": analysis.clear,
    }
    found = {**head, **plain(analysis), "actions": plain(actions)}
    for result in found["results"]:
        if result["absolute"]["too_early"]:
            result["absolute"]["effect"] = None
            result.update(dict.fromkeys(_FIGURES))
    return found


def json_text(found: Mapping[str, Any]) -> str:
    """Return JSON that a person can read, too."""
    return json.dumps(found, indent=2, allow_nan=False)


def json_of_plan(outlooks: Outlooks) -> str:
    """Return what planning found."""
    return json.dumps(plain(outlooks), indent=2, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a record as dictionaries, lists, texts and numbers."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Effect):
            found["p_value"] = value.p_value
        return found
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        # Where an analyst keeps a file is nobody's business: what is published is served.
        return value.name
    return str(value) if isinstance(value, date) else value
