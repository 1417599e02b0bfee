from dataclasses import replace

import numpy as np

from experiments.behaviour import certainty, models
from experiments.behaviour.choice import chosen, fit_chosen
from experiments.behaviour.habit import fit_habit
from experiments.behaviour.hazard import fit_linear
from experiments.behaviour.journal import day_of, journal_of
from experiments.behaviour.metrics import ece, log_loss
from experiments.behaviour.models import Settings, fit, score
from experiments.behaviour.panel import panel_of
from experiments.behaviour.repurchase import HABIT, MEMBERS, TREES, averaged, fit_repurchase
from experiments.behaviour.season import Season
from experiments.behaviour.state import first_purchase_after, state_at
from experiments.history.tables import History
from tests.behaviour.shops import OPENED, history

ZERO = day_of(OPENED.date())


def gift_shop(customers: int, days: int, *, seed: int) -> History:
    """Return a shop where everybody buys a tenth as often outside five weeks before Christmas as in them."""
    rng = np.random.default_rng(seed)
    day = np.arange(days)
    rate = np.where((day % 365 > 318) & (day % 365 < 355), 0.03, 0.003)
    hits = rng.random((customers, days)) < rate
    return history((f"c{c}", int(d), 20.0) for c, d in zip(*np.nonzero(hits), strict=True))


def subscribers(customers: int, days: int, *, seed: int) -> History:
    """Return a shop of customers who buy every 30, 60 or 90 days, give or take a tenth, until they stop."""
    rng = np.random.default_rng(seed)
    bought = []
    for c in range(customers):
        day, every = float(rng.uniform(0, days - 60)), float(rng.choice([30.0, 60.0, 90.0]))
        while day < days:
            bought.append((f"c{c}", int(day), 20.0))
            if rng.random() < 1 / 14:
                break
            day += float(rng.normal(every, 0.1 * every))
    return history(bought)


def test_a_narrow_christmas_is_no_wave_of_half_a_year():
    journal = journal_of(gift_shop(150, 420, seed=3).order_lines)
    cut = ZERO + 420
    habit = fit_habit(state_at(journal, cut), Season())
    season = fit_linear(panel_of(journal, cut, habit)).season
    spring, december = season.height(np.arange(ZERO + 420, ZERO + 510)).mean(), season.height(ZERO + 337)
    # Outside the weeks before Christmas all days are alike: the spring is no busier and no quieter than the summer.
    assert abs(spring - season.height(np.arange(ZERO + 160, ZERO + 250)).mean()) < 0.4
    assert december - spring > 1.5
    assert replace(season, shorter=()).height(ZERO + 337) < season.height(ZERO + 337)


def test_a_short_history_tells_no_short_waves():
    journal = journal_of(gift_shop(100, 300, seed=3).order_lines)
    season = fit_linear(panel_of(journal, ZERO + 300, fit_habit(state_at(journal, ZERO + 300), Season()))).season
    assert season.sine == 0.0
    assert season.shorter == ()


def test_members_that_failed_in_an_earlier_season_are_left_out():
    journal = journal_of(subscribers(700, 490, seed=4).order_lines)
    day, cut = ZERO + 310, ZERO + 400
    past = fit_repurchase(journal, day, seed=1)
    model = replace(past, kept=chosen(past, journal.before(cut), day))
    assert HABIT not in model.kept
    assert TREES in model.kept
    state = state_at(journal, cut)
    came = (first_purchase_after(journal, state) < 90).astype(float)
    chance = model.curve(state).within(90.0)
    everybody = replace(model, kept=MEMBERS)
    place = everybody.ends.tolist().index(90.0)
    average = averaged([member[:, place] for member in everybody.members(state).values()])
    assert log_loss(came, chance) < 0.9 * log_loss(came, average)
    assert ece(came, chance) < ece(came, average)


def test_a_value_lies_inside_its_interval_also_where_hardly_anybody_comes_back(monkeypatch):
    monkeypatch.setattr(certainty, "REPLICATES", 2)
    monkeypatch.setattr(models, "ORIGINS", (90,))
    told = subscribers(250, 250, seed=6)
    gone = score(fit(told, ZERO + 250, Settings(seed=1)), told, ZERO + 550).table
    low, value, high = (gone[name].to_numpy() for name in ("clv_low", "clv", "clv_high"))
    assert ((low <= value) & (value <= high)).all()


def test_without_an_earlier_season_all_members_are_kept():
    journal = journal_of(subscribers(250, 150, seed=4).order_lines)
    assert chosen(None, journal, ZERO + 60) == MEMBERS
    assert fit_chosen(journal, ZERO + 150, seed=1).kept == MEMBERS


def test_where_nobody_bought_twice_no_gap_is_usual_and_years_of_silence_are_not_likely():
    told = history((f"c{n}", 0, 5.0) for n in range(300))
    made = fit(told, ZERO + 1, Settings(seed=1))
    soon, late = score(made, told, ZERO + 30).table, score(made, told, ZERO + 700).table
    assert set(soon["grid"].to_pylist()) == {"likely-staying"}
    assert set(late["grid"].to_pylist()) == {"unlikely-leaving"}
    assert late["usual_gap_days"].null_count == 300
