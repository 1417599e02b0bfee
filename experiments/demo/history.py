"""Gives the demo a past: a randomised trial in the simulated shop, a trained policy, and a promotion by the gate."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timedelta

import click

from decision.errors import EncoreError, InvalidInput
from decision.flow.promotion import champion_version
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home
from experiments.challenger import Settings
from experiments.learners import USUAL
from experiments.shop import PROGRAMME, Shop
from experiments.shop.arrival import Arrival
from experiments.shop.days import Days

MARKER = "simulated-shop.txt"
SEED = 1
CUSTOMERS = 60_000
TRIAL_DAYS = 40
# Those that need minutes are for `encore train`: whoever tries Encore waits for this.
LEARNERS_TRIED = ("constant", "pooled_linear", "pooled_sparse")


def is_ready(home: Home) -> bool:
    """Return whether the demo has been set up: a policy has been promoted."""
    return home.ledger_path.exists() and champion_version(home.ledger()) is not None


def set_up(home: Home, *, now: datetime, tell: Callable[[str], None]) -> None:
    """Create the simulated shop with its trial, train the first policy and promote it through the gate.

    What a broken attempt of this kind left is removed first.

    Raises
    ------
    InvalidInput : the folder holds something that this command did not make.
    """
    from experiments.evaluate import evaluate, promote_through_gate
    from experiments.train import train

    marker = home.root / MARKER
    if home.root.exists() and any(home.root.iterdir()) and not marker.exists():
        raise InvalidInput(
            f"Expected an empty folder or an unfinished simulated shop at {home.root}, found other files.",
            hint="Name another --folder; this one is left as it is.",
        )
    shutil.rmtree(home.root, ignore_errors=True)
    home.root.mkdir(parents=True)
    marker.write_text("Made by `encore demo`, which may remove this folder until its first policy is promoted.\n")
    shutil.copyfile(PROGRAMME, home.programme_path)
    tell(f"a simulated shop: a past trial, every action with equal probability, {TRIAL_DAYS} days")
    days = Days(open_shop(home, now), SqliteLedger.create(home.ledger_path, durable=False))
    with click.progressbar(length=days.after_trial(TRIAL_DAYS), label="  days", file=sys.stderr) as bar:
        days.trial(TRIAL_DAYS, tell=lambda _: bar.update(1))
    tell(f"training the first policy, with {len(LEARNERS_TRIED)} of {len(USUAL)} learners: `encore train` tries all")
    learners = {name: USUAL[name] for name in LEARNERS_TRIED}
    settings = Settings(seed=SEED, repeats=1)
    trained = train(home, settings, now=now, learners=learners, tell=lambda step: tell(f"  {step}"))
    tell(f"  {trained.challenger.because}")
    tell("judging it on customers it was not trained on")
    found = evaluate(home, trained.bundle.version, now=now)
    for sentence in found.verdict.sentences():
        tell(f"  {sentence}")
    if not promote_through_gate(home, found, forced=None, now=now):
        raise EncoreError("Expected the demo's policy to pass the gate, it did not.", hint="Please report this.")


def open_shop(home: Home, now: datetime) -> Shop:
    """Return the demo's shop, whose trial has just become final at `now`."""
    programme = home.programme()
    past = TRIAL_DAYS + programme.attribution_window_days + programme.refund_window_days + 2
    start = (now - timedelta(days=past)).date()
    return Shop.open(programme, seed=SEED, customers=CUSTOMERS, start=start)


def someone(home: Home, now: datetime) -> tuple[Shop, Arrival]:
    """Return a customer for whom the policy decides after a purchase, to ask about in the examples."""
    from decision.records import Group
    from decision.stages.groups import assign

    shop = open_shop(home, now)
    programme = shop.programme
    for arrival in shop.arrivals(0):
        group = assign(arrival.customer_id, salt=programme.salt, shares=programme.shares)
        if group is Group.POLICY and arrival.trigger == "purchase":
            return shop, arrival
    raise EncoreError("Expected a customer of the policy group on the first day, found none.")
