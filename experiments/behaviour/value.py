"""What a customer will spend: chance and size of purchases apart, and spending as a whole; their geometric mean.

The parts err differently: the first knows the rhythm, the second (Tweedie regressions, Jorgensen 1987) that big
spenders buy differently. Money is what is ordered; after returns and at the margin it is a lifetime value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.records import FloatArray
from experiments.behaviour.columns import SPENT, Hinges, fit_hinges, money_facts
from experiments.behaviour.journal import Journal
from experiments.behaviour.panel import WEEK, affordable
from experiments.behaviour.repurchase import Curve
from experiments.behaviour.state import State, spent_after, state_at

SPANS = (30, 60)
WARM_UP = 28
POWER = 1.2
PENALTY = 0.1
# Purchases of an average customer that count as hers.
PRIOR_PURCHASES = 1.0
PRIOR_FOR_RETURNS = 3.0
LARGEST = 1e3


@dataclass(frozen=True, slots=True)
class Spending:
    """exp(intercept + weights · columns): money within `span` days."""

    hinges: Hinges
    intercept: float
    weights: FloatArray
    span: int

    def a_day(self, state: State) -> FloatArray:
        """Return expected money a day, [N]."""
        log = self.intercept + self.hinges.columns(money_facts(state)) @ self.weights
        return np.asarray(np.exp(np.clip(log, -30.0, 30.0)) / self.span)


@dataclass(frozen=True, slots=True)
class Worth:
    """Money in the shop's currency. `typical` is the log of a usual purchase, `smear` what the mean is above it.

    `kept` is the share of ordered money that does not come back; `margin` what is earned of what is kept.
    """

    spending: tuple[Spending, ...]
    typical: float
    smear: float
    most_a_day: float
    kept: float
    margin: float

    def ordered(self, state: State, curve: Curve, days: int) -> FloatArray:
        """Return what each customer is expected to order within so many days, [N]."""
        purchases = curve.purchases_a_day()
        each = np.log(state.spent / state.purchases)
        shrunk = (state.purchases * each + PRIOR_PURCHASES * self.typical) / (state.purchases + PRIOR_PURCHASES)
        logs = [np.log(purchases) + shrunk + np.log(self.smear)]
        logs += [np.log(np.minimum(part.a_day(state), self.most_a_day)) for part in self.spending]
        return np.asarray(np.exp(np.mean(logs, axis=0)) * days)

    def margin_after_returns(self, state: State, ordered: FloatArray) -> FloatArray:
        """Return what is earned of what is ordered, [N]: less what she usually sends back, at the shop's margin."""
        prior = PRIOR_FOR_RETURNS * state.spent / state.purchases
        back = (np.minimum(state.returned, state.spent) + prior * (1.0 - self.kept)) / (state.spent + prior)
        return np.asarray(ordered * (1.0 - back) * self.margin)


def fit_worth(journal: Journal, cut: int, *, margin: float, seed: int) -> Worth:
    """Return the model learned from what lies before the day `cut`; `margin` is used where order lines tell none."""
    journal = affordable(journal.before(cut), cut, seed=seed)
    state = state_at(journal, cut)
    each = np.log(state.spent / state.purchases)
    bought = journal.bought
    amount, earned = journal.amount[bought], journal.margin[bought]
    told = np.isfinite(earned)
    a_day = state.spent / np.maximum(state.tenure, WEEK)
    return Worth(
        spending=tuple(_fit_spending(journal, cut, span) for span in SPANS if cut - journal.first_day > WARM_UP + span),
        typical=float(each.mean()),
        smear=float(state.spent.sum() / state.purchases.sum() / np.exp(each).mean()),
        most_a_day=10.0 * float(a_day.max()),
        kept=1.0 - min(float(state.returned.sum() / state.spent.sum()), 1.0),
        margin=float(earned[told].sum() / amount[told].sum()) if told.mean() >= 0.5 else margin,
    )


def _fit_spending(journal: Journal, cut: int, span: int) -> Spending:
    from sklearn.linear_model import TweedieRegressor

    x, y = [], []
    for start in range(cut - span, journal.first_day + WARM_UP, -WEEK):
        state = state_at(journal, start)
        x.append(money_facts(state))
        y.append(spent_after(journal, state, span))
    facts, money = np.vstack(x), np.concatenate(y)
    hinges = fit_hinges(facts, tuple(range(len(SPENT))), straight=True)
    scale = float(money.mean()) or 1.0
    model = TweedieRegressor(power=POWER, alpha=PENALTY, link="log", solver="newton-cholesky")
    model.fit(hinges.columns(facts), money / scale)
    return Spending(hinges, float(model.intercept_) + float(np.log(scale)), model.coef_, span)
