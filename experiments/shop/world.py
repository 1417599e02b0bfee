"""The simulated shop: customers with a known truth, whose days pass as often as one likes. Everything is simulated.

No spill-over by construction: a reward counts every order of a customer inside a decision's window, so a customer
of this shop has at most one trigger per cycle of 30 days or more, never two within a window. Real shops are not so
kind; here it makes the value of every action known exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from decision.programme.model import Programme
from decision.programme.read import load_programme
from decision.records import Decision, DecisionRequest, FloatArray, IntArray, Outcome
from experiments.shop import effects
from experiments.shop.arrival import Arrival, body_of, draw_luck, request_of
from experiments.shop.behaviour import events_of, outcomes_of
from experiments.shop.chances import Nature, draw_nature
from experiments.shop.population import NUMBERS, Population, draw_population
from experiments.shop.truth import Truth, truth_of

PROGRAMME = Path(__file__).parent / "programme.toml"
RETURN_SHARE = 0.25
SHORTEST_CYCLE_DAYS = 30


def shop_programme() -> Programme:
    """Return the programme of the simulated shop."""
    return load_programme(PROGRAMME)


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop whose truth is known. It keeps no state: a day is a function of the seed and its number.

    `rate` is the average number of triggers per customer and day; `start` is day 0, in UTC. `phase` [N] is the day
    of the cycle on which a customer may have a trigger, `column` the place of every action in arrays [n, K].
    """

    programme: Programme
    seed: int
    start: date
    rate: float
    cycle_days: int
    phase: IntArray
    population: Population
    nature: Nature
    column: Mapping[str, int]

    @classmethod
    def open(cls, programme: Programme, *, seed: int, customers: int, start: date, rate: float = 1 / 60) -> Shop:
        """Draw customers and truth.

        Raises
        ------
        InvalidInput : more triggers are asked for than one per customer and cycle, or an offer would end inside
            the window, which the simulated till does not know how to refuse.
        """
        window = programme.attribution_window_days
        cycle_days = max(SHORTEST_CYCLE_DAYS, window + programme.refund_window_days + 1)
        if customers < 1 or not 0.0 < rate * cycle_days <= 1.0:
            raise InvalidInput(
                f"Expected at least one customer and a rate of at most 1/{cycle_days} triggers per customer and day, "
                f"found {customers} and {rate:g}.",
                hint="Decisions of a customer closer together than the window share rewards: take more customers.",
            )
        for offer in programme.offers.values():
            if offer.validity_days < window or offer.valid_until is not None:
                raise InvalidInput(
                    f"Expected offers that outlive the attribution window of {window} days in a simulated shop, "
                    f"found {offer.name}.",
                    hint="Raise its validity_days, and leave valid_until out.",
                )
        population = draw_population(programme, customers=customers, seed=seed)
        return cls(
            programme=programme,
            seed=seed,
            start=start,
            rate=rate,
            cycle_days=cycle_days,
            phase=np.random.default_rng([seed, 4]).permutation(customers) % cycle_days,
            population=population,
            nature=draw_nature(programme, population, seed=seed, return_share=RETURN_SHARE),
            column={action.action_id: k for k, action in enumerate(programme.actions)},
        )

    def arrivals(self, day: int) -> list[Arrival]:
        """Return about `customers * rate` triggers of a day, counted from 0, in order of time."""
        rng = np.random.default_rng([self.seed, 2, day])
        due = np.flatnonzero(self.phase == day % self.cycle_days)
        who = rng.permutation(due[rng.random(len(due)) < self.rate * self.cycle_days])
        n = len(who)
        after_return = rng.random(n) < RETURN_SHARE
        x = self.population.at(who, after_return)
        chances = self.nature.chances(x, self.population.quirk[who])
        orders = _orders(x[:, NUMBERS.index("spend")], after_return, rng)
        products = rng.integers(1, 100, (n, 3)).tolist()
        seconds = _seconds(n, rng)
        luck = draw_luck(rng, n)
        midnight = datetime.combine(self.start, time(), UTC) + timedelta(days=day)
        arrivals = []
        for i, customer in enumerate(who.tolist()):
            cents, discount_cents, items = orders[i]
            decision_id = f"sim-{self.seed}-{day:04d}-{i:05d}"
            arrivals.append(
                Arrival(
                    decision_id=decision_id,
                    customer_id=f"sim-{self.seed}-customer-{customer:06d}",
                    trigger="return" if after_return[i] else "purchase",
                    at=midnight + timedelta(seconds=seconds[i]),
                    order_id=f"{decision_id}-first",
                    total=Decimal(cents).scaleb(-2),
                    discount=Decimal(discount_cents).scaleb(-2),
                    products=tuple(f"SIM-{number:03d}" for number in products[i][: min(items, 3)]),
                    item_count=items,
                    store=self.population.stores[customer],
                    features={name: values[customer] for name, values in self.population.features.items()},
                    consent={name: values[customer] for name, values in self.population.consent.items()},
                    luck=luck[i],
                    place=i,
                    chances=chances,
                )
            )
        return arrivals

    def request(self, arrival: Arrival) -> DecisionRequest:
        """Return what the checkout asks, for calling the flow directly."""
        return request_of(arrival, currency=self.programme.currency)

    def body(self, arrival: Arrival) -> dict[str, Any]:
        """Return what the checkout asks as the JSON body of POST /v1/decisions."""
        return body_of(arrival, currency=self.programme.currency)

    def truth(self, arrivals: Sequence[Arrival]) -> Truth:
        """Return what every action of the programme would bring each arrival; arrays [n, K]."""
        return truth_of(arrivals, programme=self.programme)

    def outcomes(self, arrival: Arrival, decision: Decision) -> list[Outcome]:
        """Return what the customer does after the decision; the same for the same arrival and action."""
        column = self.column[decision.action_id]
        return outcomes_of(arrival, decision, programme=self.programme, column=column)

    def events(self, arrival: Arrival, decision: Decision) -> list[dict[str, Any]]:
        """Return the same as the JSON bodies of POST /v1/events."""
        return events_of(self.outcomes(arrival, decision))


def _orders(spend: FloatArray, after_return: NDArray[np.bool_], rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Return total and discount in cents, and pieces, of the orders that trigger decisions."""
    n = len(spend)
    gross = np.exp(effects.BASKET_LOG + effects.BASKET_BY_SPEND * spend + effects.BASKET_SD * rng.standard_normal(n))
    gross = np.maximum(gross * np.where(after_return, rng.uniform(0.3, 1.0, n), 1.0), 1.0)
    discount = gross * 0.1 * (rng.random(n) < 0.2)
    items = 1 + rng.poisson(np.minimum(gross / 40.0, 10.0))
    cents = np.round(100.0 * (gross - discount)).astype(int)
    return list(zip(cents.tolist(), np.round(100.0 * discount).astype(int).tolist(), items.tolist(), strict=True))


def _seconds(n: int, rng: np.random.Generator) -> list[int]:
    """Return seconds after midnight in order: shops are busy in the late afternoon, and some shop by night."""
    hours = np.where(rng.random(n) < 0.9, rng.normal(16.0, 3.5, n), rng.uniform(0.0, 24.0, n)) % 24.0
    seconds: list[int] = np.sort((hours * 3_600.0).astype(int)).tolist()
    return seconds
