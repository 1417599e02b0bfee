"""The use case: which products go with this decision?"""

from __future__ import annotations

from datetime import datetime, timedelta

from decision.ledger.base import Ledger
from decision.records import Customer, DecisionRequest, Recommended
from decision.serving import Serving
from decision.stages.baskets import history
from decision.stages.recommendations import HeldBack, Purpose, Why, Wish, nothing, recommend

# What she bought before that tells little of her now, and would have to be read while she waits.
LOOK_BACK = timedelta(days=730)


def recommended(
    request: DecisionRequest, customer: Customer, *, serving: Serving, ledger: Ledger, now: datetime
) -> Recommended | None:
    """Return the products for a request, None where it asks for none; reads her orders of two years.

    Every measurement group gets them: a holdout that saw other pages would no longer measure the offers alone.
    """
    if request.recommendations is None:
        return None
    if customer.opted_out:
        return nothing(Why.OPTED_OUT, "the customer has opted out")
    shelf = serving.shelf
    if shelf.neighbours is None:
        return nothing(Why.NOT_TRAINED, "no recommendations were trained yet: encore recommend train")
    order = request.order
    wish = Wish(Purpose(request.trigger), request.recommendations, order.products, order.return_reason)
    outcomes = ledger.outcomes_of(request.customer_id, start=now - LOOK_BACK, end=now)
    # Goods that come back were bought in an order that is history by now.
    in_hand = order.order_id if wish.purpose is Purpose.PURCHASE else ""
    held_back = HeldBack(shelf.out_of_stock, shelf.problems, serving.programme.eligibility.excluded_products)
    return recommend(wish, history(outcomes, but_for=in_hand), shelf.neighbours, held_back)
