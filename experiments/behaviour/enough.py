"""Not enough data is an answer: what each model needs, and the rule that is used instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.behaviour.state import State


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model needs before it is trusted, each named as in `found`, and the rule that stands in for it."""

    model: str
    least: Mapping[str, int]
    rule: str

    def verdict(self, found: Mapping[str, int]) -> Verdict:
        """Return whether what was found is enough."""
        short = [
            f"{least:,} {what} (found {found[what]:,})" for what, least in self.least.items() if found[what] < least
        ]
        if not short:
            return Verdict(self.model, True, "")
        return Verdict(self.model, False, f"Not enough data: expected at least {', '.join(short)}.", self.rule)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model is used; if not, why, and the rule used instead."""

    model: str
    enough: bool
    why: str
    rule: str = ""

    def sentence(self) -> str:
        """Return it for a person."""
        return f"{self.model}: used." if self.enough else f"{self.model}: {self.why} Used instead: {self.rule}."


def found_in(state: State, days: int) -> Mapping[str, int]:
    """Return what there is of customers in a history of so many days."""
    return {CUSTOMERS: len(state.customer), AGAIN: int((state.purchases > 1).sum()), DAYS: days}


CUSTOMERS, AGAIN, DAYS = "customers", "customers who bought again", "days of history"
CONTACTS, CATEGORISED = "contacts with a known channel", "purchases with a known category"

REPURCHASE = Needs(
    "repurchase, churn and next purchase",
    {CUSTOMERS: 200, AGAIN: 100, DAYS: 90},
    "a customer is likely to buy again until she has been silent for twice her usual gap (90 days if nobody has one)",
)
VALUE = Needs(
    "customer lifetime value",
    {CUSTOMERS: 200, AGAIN: 100, DAYS: 120},
    "what she spent a day since her first purchase goes on, after returns and at the shop's margin",
)
SECOND_PURCHASE = Needs(
    "time to the second purchase", {CUSTOMERS: 100, AGAIN: 30}, "twice the usual gap between purchases"
)
CATEGORY = Needs("next category", {CATEGORISED: 200}, "the category she bought last")
CHANNEL = Needs("best channel", {CONTACTS: 200}, "the channel of her latest order")
EVERY = (REPURCHASE, VALUE, SECOND_PURCHASE, CATEGORY, CHANNEL)
