"""Small histories with everything in them that a feature looks at, drawn by a seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History, Rows

START = datetime(2024, 1, 1, 8, tzinfo=UTC)
DAYS = 800
CUSTOMERS = tuple(f"c-{n}" for n in range(6))


def history(seed: int) -> History:
    """Return 800 days of six customers, whose later lives differ in how much is known of them."""
    random = Random(seed)
    lines, contacts, visits = Rows(ORDER_LINES), Rows(CONTACTS), Rows(VISITS)
    for n, customer_id in enumerate(CUSTOMERS):
        for k in range(random.choice([0, 1, 2, 3, 12])):
            at = moment(random)
            for record in order(random, customer_id, f"{customer_id}-{k}", at, known=n % 2 == 0):
                lines.add(*record)
        for k in range(random.choice([0, 1, 9])):
            at = moment(random)
            after = [at + timedelta(days=random.uniform(0, 60)) if random.random() < 0.5 else None for _ in range(3)]
            channel = random.choice(["email", "sms", "on_page"])
            contacts.add(customer_id, at, f"bogo@{channel}", "bogo", channel, f"d-{customer_id}-{k}", *after)
        for _ in range(random.choice([0, 3, 20])):
            visits.add(customer_id, moment(random))
    return History(lines.table(), contacts.table(), visits.table())


def moment(random: Random) -> datetime:
    """Return a time, often one that others have too."""
    if random.random() < 0.2:
        return START + timedelta(days=random.randrange(0, DAYS, 100))
    return START + timedelta(microseconds=random.randrange(DAYS * 86_400_000_000))


def order(random: Random, customer_id: str, order_id: str, at: datetime, *, known: bool) -> list[tuple[object, ...]]:
    """Return the lines of an order and of what came back of it."""
    cancelled = at + timedelta(days=random.uniform(0, 20)) if random.random() < 0.1 else None
    channel, loyalty = random.choice([None, "email", "sms"]), random.choice([None, True, False])
    found: list[tuple[object, ...]] = []
    for _ in range(random.choice([1, 2, 3, 6])):
        product = random.choice(["shirt", "sock", "nut", None] if known else ["shirt", "nut"])
        variant = random.choice(["s", "m", "l", None]) if known else None
        category = {"shirt": "tops", "sock": "feet"}.get(str(product)) if known else None
        pieces, amount = random.randrange(1, 5), random.randrange(0, 90_000_000) / 1e6
        discount, margin = random.choice([0.0, 0.0, 1.25]), random.choice([None, -0.5, 3.75])
        sold = (customer_id, order_id, at, product, variant, category, pieces, amount, discount, margin)
        found.append((*sold, False, None, channel, None, loyalty, cancelled))
        if random.random() < 0.3:
            back = at + timedelta(days=random.uniform(0, 40))
            paid_back = round(-amount / pieces, 6)
            returned = (customer_id, order_id, back, product, variant, category, 1, paid_back, 0.0, None)
            found.append((*returned, True, "size", None, None, None, cancelled))
    return found
