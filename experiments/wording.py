"""Facts and conditions in words that a marketer reads."""

from __future__ import annotations

from collections.abc import Sequence

from decision.records import CONTROL
from experiments.policy_tree import Condition


def fact_words(name: str) -> str:
    """Return `days since last order` for `days_since_last_order`, `consent for sms` for `consent.sms`."""
    kind, dot, channel = name.partition(".")
    return f"consent for {channel}" if dot and kind == "consent" else name.replace("_", " ").replace(".", " ")


def action_words(action_id: str) -> str:
    """Return `free shipping, web push` for `free_shipping@web_push`, and `nothing` for control."""
    return "nothing" if action_id == CONTROL else action_id.replace("@", ", ").replace("_", " ")


def condition_words(condition: Condition, *, answer: bool) -> str:
    """Return a condition, or its opposite, in words."""
    name = fact_words(condition.fact)
    if condition.yes_or_no:
        return _yes_or_no(name, yes=not answer) + _or_unknown(condition, answer)
    if condition.at_most is not None:
        return f"{name} {'≤' if answer else '>'} {number(condition.at_most)}" + _or_unknown(condition, answer)
    if condition.levels:
        if not answer and condition.others:
            return f"{name} is {any_of(condition.others)}"
        return f"{name} {'is' if answer else 'is not'} {any_of(condition.levels)}"
    return f"{name} is {'un' if answer else ''}known"


def path_words(path: Sequence[tuple[Condition, bool]]) -> str:
    """Return the way to a leaf in words, both ends of one number drawn together; `everybody` for no way."""
    parts: dict[tuple[str, object], tuple[Condition, bool]] = {}
    for place, (condition, answer) in enumerate(path):
        # A later end of a number on the same side is the narrower one; each answer about a category adds.
        end: object = answer if condition.at_most is not None else f"place {place}"
        parts[condition.fact, end] = (condition, answer)
    said: dict[tuple[str, object], str] = {}
    for (fact, end), (condition, answer) in parts.items():
        other = parts.get((fact, not answer)) if condition.at_most is not None else None
        if other is None or condition.yes_or_no:
            said[fact, end] = condition_words(condition, answer=answer)
        else:
            above, below = (condition, other[0]) if not answer else (other[0], condition)
            both = condition.unknown == answer and other[0].unknown != answer
            said[fact, "range"] = (
                f"{fact_words(fact)} above {number(above.at_most or 0.0)} up to {number(below.at_most or 0.0)}"
                + (" or unknown" if both else "")
            )
    return " and ".join(said.values()) or "everybody"


def _or_unknown(condition: Condition, answer: bool) -> str:
    return " or unknown" if condition.unknown is answer else ""


def any_of(levels: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return levels[0] if len(levels) == 1 else f"{', '.join(levels[:-1])} or {levels[-1]}"


def number(value: float) -> str:
    """Return a number with thousands separated and no needless digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def _yes_or_no(name: str, *, yes: bool) -> str:
    if name.startswith("consent for "):
        return name if yes else f"no {name}"
    return f"{name}: {'yes' if yes else 'no'}"
