"""Days of a simulated shop against a real ledger: people come, are decided for, and do what they do later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from decision.flow.decide import decide
from decision.flow.sweep import sweep
from decision.ledger.base import Ledger
from decision.programme.model import Programme
from decision.records import Decision, Group, Outcome
from decision.serving import Serving
from experiments.shop.arrival import Arrival
from experiments.shop.world import Shop


class Days:
    """A shop and the ledger of the service that decides for it. Days are counted from the shop's start."""

    def __init__(self, shop: Shop, ledger: Ledger) -> None:
        """Start with an empty ledger."""
        self.shop = shop
        self.ledger = ledger
        self._pending: dict[int, list[Outcome]] = defaultdict(list)

    @property
    def programme(self) -> Programme:
        """Return the shop's programme."""
        return self.shop.programme

    def midnight(self, day: int) -> datetime:
        """Return the UTC time at which a day begins."""
        return datetime.combine(self.shop.start, time(), UTC) + timedelta(days=day)

    def decide(self, day: int, serving: Serving) -> tuple[list[Arrival], list[Decision]]:
        """Decide for everyone who comes on a day; what they do later waits until it happens."""
        arrivals = self.shop.arrivals(day)
        decisions = []
        for arrival in arrivals:
            decision = decide(self.shop.request(arrival), serving=serving, ledger=self.ledger, now=arrival.at)
            decisions.append(decision)
            for outcome in self.shop.outcomes(arrival, decision):
                self._pending[(outcome.occurred_at - self.midnight(0)).days].append(outcome)
        return arrivals, decisions

    def night(self, day: int) -> datetime:
        """End a day: its events come in and rewards mature. Returns the time it is then."""
        now = self.midnight(day + 1)
        self.ledger.record_outcomes(self._pending.pop(day, []), now=now)
        sweep(programme=self.programme, ledger=self.ledger, now=now)
        return now

    def after_trial(self, trial_days: int) -> int:
        """Return the first day on which all rewards of a trial are final."""
        return trial_days + self.programme.attribution_window_days + self.programme.refund_window_days + 1

    def trial(self, trial_days: int, *, tell: Callable[[int], None] = lambda _: None) -> None:
        """Give everybody any allowed action with equal probability, then wait until all rewards are final.

        `tell` hears of every day that has passed.
        """
        shares = {group: float(group is Group.RANDOM) for group in Group}
        randomised = Serving(replace(self.programme, shares=shares), None)
        for day in range(self.after_trial(trial_days)):
            if day < trial_days:
                self.decide(day, randomised)
            self.night(day)
            tell(day)
