"""Everything that is predicted of customers, fitted as of a day and asked for a whole table of customers at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decision.records import FloatArray
from experiments.behaviour import category, channel, enough, grid, rfm
from experiments.behaviour.certainty import Certainty, Origin, certainty_of, origin_at, spread_of
from experiments.behaviour.choice import chosen, enough_at
from experiments.behaviour.engagement import Engagement, engagement
from experiments.behaviour.enough import Verdict
from experiments.behaviour.journal import Journal, date_of, journal_of
from experiments.behaviour.predictions import SCHEMA, Predictions
from experiments.behaviour.repurchase import Curve, Repurchase, fit_repurchase
from experiments.behaviour.second import SecondPurchase, second_purchase
from experiments.behaviour.state import State, state_at
from experiments.behaviour.value import Worth, fit_worth
from experiments.behaviour.why import reasons
from experiments.history.tables import History

# The median absolute error of a skewed wait is least below its median; 0.35 was best at origins inside the window, and
# better than 0.4 on shops whose truth is known.
WHEN = 0.35
SEASON_DAYS = 90.0
LEAST_CHURN_DAYS = 30.0
ORIGINS = (90, 120)
STEPS = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What the shop says. `margin` is used where order lines tell none; `seed` fixes draws."""

    seed: int
    timezone: str = "UTC"
    margin: float = 1.0
    clv_days: int = 365
    engagement: Engagement = field(default_factory=Engagement)


@dataclass(frozen=True, slots=True)
class Models:
    """What was learned before the day `cut`. A model is None where there was not enough data; `verdicts` say why."""

    cut: int
    settings: Settings
    thresholds: rfm.Thresholds
    repurchase: Repurchase | None
    worth: Worth | None
    certainty: Certainty | None
    second: SecondPurchase | None
    next_category: category.NextCategory | None
    response: channel.ChannelResponse | None
    verdicts: tuple[Verdict, ...]
    data_sha256: str = ""
    version: str = "unsaved"


def fit(history: History, cut: int, settings: Settings, *, advance: Callable[[int], None] = lambda _: None) -> Models:
    """Return the models learned from what was known before the day `cut` (days since 1970-01-01).

    `advance` is told of each of `STEPS` steps. Raises `NotEnoughData` without any purchase.
    """
    known = history.known_before(moment(cut, settings))
    journal = journal_of(known.order_lines, timezone=settings.timezone)
    state = state_at(journal, cut)
    found = enough.found_in(state, cut - journal.first_day)
    by_model = {need.model: need.verdict(found) for need in (enough.REPURCHASE, enough.VALUE, enough.SECOND_PURCHASE)}
    follows, by_model[enough.CATEGORY.model] = category.fit_category(known.order_lines)
    response, by_model[enough.CHANNEL.model] = channel.channel_response(known.contacts)
    repurchase = worth = certainty = None
    if by_model[enough.REPURCHASE.model].enough:
        past = past_models(journal, cut, settings)
        kept = chosen(past.get(cut - int(SEASON_DAYS)), journal, cut - int(SEASON_DAYS))
        repurchase = replace(fit_repurchase(journal, cut, seed=settings.seed), kept=kept)
        advance(3)
        spread = spread_of(journal, cut, seed=settings.seed, advance=advance)
        if by_model[enough.VALUE.model].enough:
            worth = fit_worth(journal, cut, margin=settings.margin, seed=settings.seed)
        advance(1)
        certainty = certainty_of(spread, origins(journal, past, kept, settings))
        advance(3)
    second = None
    if by_model[enough.SECOND_PURCHASE.model].enough:
        second = second_purchase(journal, cut, seed=settings.seed)
    advance(1)
    return Models(
        cut=cut,
        settings=settings,
        thresholds=rfm.thresholds_of(state),
        repurchase=repurchase,
        worth=worth,
        certainty=certainty,
        second=second,
        next_category=follows,
        response=response,
        verdicts=tuple(by_model.values()),
        data_sha256=journal.sha256(),
    )


def past_models(journal: Journal, cut: int, settings: Settings) -> Mapping[int, Repurchase]:
    """Return models by the past day that each was fitted at, on what lay before it alone."""
    days = [cut - back for back in ORIGINS if enough_at(journal, cut - back)]
    return {day: fit_repurchase(journal, day, seed=settings.seed) for day in days}


def origins(
    journal: Journal, past: Mapping[int, Repurchase], kept: tuple[str, ...], settings: Settings
) -> list[Origin]:
    """Return what models of the past foretold by the members that are `kept`, and what came in 90 days."""
    found = []
    for day, model in past.items():
        state = state_at(journal, day)
        curve = replace(model, kept=kept).curve(state)
        worth = fit_worth(journal, day, margin=settings.margin, seed=settings.seed)
        predicted = (curve.within(SEASON_DAYS), worth.ordered(state, curve, int(SEASON_DAYS)))
        found.append(origin_at(journal, day, int(SEASON_DAYS), predicted))
    return found


def moment(day: int, settings: Settings) -> datetime:
    """Return when a day begins in the shop, in UTC."""
    return datetime.combine(date_of(day), time(), ZoneInfo(settings.timezone)).astimezone(UTC)


def score(
    models: Models, history: History, as_of: int | None = None, *, advance: Callable[[int], None] = lambda _: None
) -> Predictions:
    """Return the predictions for everybody who bought before the day `as_of`, by default the models' own.

    `advance` is told of how many customers more are done.
    """
    day = models.cut if as_of is None else as_of
    known = history.known_before(moment(day, models.settings))
    journal = journal_of(known.order_lines, timezone=models.settings.timezone)
    state = state_at(journal, day)
    names = tuple(journal.names[place] for place in state.customer)
    with ThreadPoolExecutor(1) as aside:
        # Of tables, not of states: made beside the curve, whose threads leave a core free at their ends.
        others = aside.submit(_others, models, known, names, day)
        columns = _who(state, names, day) | _segments(models, state)
        if models.repurchase is not None:
            curve = models.repurchase.curve(state, advance=advance)
            columns |= _rhythm(models, state, curve, day) | _money(models, state, curve)
        else:
            columns |= _by_rule(models, state)
        columns |= others.result()
    n = len(names)
    arrays = [_array(columns.get(one.name), one.type, n) for one in SCHEMA]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA)
    return Predictions(date_of(day), models.version, models.settings.clv_days, table, models.verdicts)


def _array(values: Any, kind: pa.DataType, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, kind)
    return pa.array(values, from_pandas=True).cast(kind)


def _who(state: State, names: tuple[str, ...], day: int) -> dict[str, Any]:
    return {
        "customer_id": list(names),
        "purchases": state.purchases.astype(np.int64),
        "last_purchase": _dates(day - state.silence),
        "usual_gap_days": state.usual_gap if _has_gaps(state) else None,
        "first_time": state.purchases == 1,
    }


def _segments(models: Models, state: State) -> dict[str, Any]:
    found = rfm.rfm_of(state, models.thresholds)
    second = models.second
    late = None if second is None else (state.purchases == 1) & (state.silence > second.deadline)
    return {
        "recency": found.recency,
        "frequency": found.frequency,
        "money": found.money,
        "rfm": np.array(rfm.NAMES)[found.segment],
        "late": late,
    }


def _others(models: Models, known: History, names: tuple[str, ...], day: int) -> dict[str, Any]:
    tables: Mapping[str, pa.Table] = {
        "order_lines": known.order_lines, "contacts": known.contacts, "visits": known.visits
    }  # fmt: skip
    as_of = moment(day, models.settings)
    found: dict[str, Any] = {"engagement": engagement(tables, names, models.settings.engagement, as_of=as_of)}
    if models.response is not None:
        found["best_channel"], found["best_channel_rate"] = channel.best_channels(
            known.contacts, names, models.response
        )
    else:
        found["best_channel"] = channel.latest_channels(known.order_lines, names)
    if models.next_category is not None:
        found["next_category"] = models.next_category.likeliest(known.order_lines, names)
    elif pc.any(pc.is_valid(known.order_lines["category"])).as_py():
        found["next_category"] = category.latest(known.order_lines, names)
    return found


def churn_days(state: State, horizon: float) -> FloatArray:
    """Return what long is by each customer's own rhythm: twice her usual gap, at least a month, [N]."""
    return np.clip(2.0 * state.usual_gap, LEAST_CHURN_DAYS, horizon)


def _rhythm(models: Models, state: State, curve: Curve, day: int) -> dict[str, Any]:
    own = churn_days(state, float(curve.ends[-1]))
    chance, churn = curve.within(SEASON_DAYS), 1.0 - curve.within(own)
    wait = np.maximum(own, SEASON_DAYS)
    found = {
        "repurchase_30": curve.within(30.0),
        "repurchase_60": curve.within(60.0),
        "repurchase_90": chance,
        "churn": churn,
        "churn_days": own,
        "next_purchase": _dates(day + curve.day_of(WHEN, horizon=wait)),
        "next_purchase_low": _dates(day + curve.day_of(0.1, horizon=wait)),
        "next_purchase_high": _dates(day + curve.day_of(0.9, horizon=wait)),
        "why": reasons(models.repurchase, state) if models.repurchase else None,
        "grid": grid.cells(chance, churn),
    }
    if models.certainty is not None:
        found["repurchase_90_low"], found["repurchase_90_high"] = models.certainty.of_chance(state, chance)
    return found


def _money(models: Models, state: State, curve: Curve) -> dict[str, Any]:
    days, worth = models.settings.clv_days, models.worth
    if worth is None:
        return {"clv": clv_by_rule(state, models.settings)}
    ordered = worth.ordered(state, curve, days)
    found = {"clv": worth.margin_after_returns(state, ordered)}
    if models.certainty is not None:
        low, high = models.certainty.of_money(worth.ordered(state, curve, int(SEASON_DAYS)))
        scale = days / SEASON_DAYS
        # Where more than nine in ten bring nothing, a tenth of them is below the mean: an interval holds its value.
        found["clv_low"] = np.minimum(worth.margin_after_returns(state, scale * low), found["clv"])
        found["clv_high"] = np.maximum(worth.margin_after_returns(state, scale * high), found["clv"])
    return found


def _by_rule(models: Models, state: State) -> dict[str, Any]:
    """Return what stands instead of models: likely until silent for twice her usual gap; spending goes on."""
    # Where nobody has bought twice yet, no gap is usual: a season stands for two of them.
    coming = state.silence <= (2.0 * state.usual_gap if _has_gaps(state) else SEASON_DAYS)
    return {
        "grid": np.where(coming, "likely-staying", "unlikely-leaving"),
        "clv": clv_by_rule(state, models.settings),
    }


def _has_gaps(state: State) -> bool:
    return bool((state.purchases > 1).any())


def clv_by_rule(state: State, settings: Settings) -> FloatArray:
    """Return what she spent a day since her first purchase, kept up for the horizon, at the margin, [N]."""
    a_day = np.maximum(state.spent - state.returned, 0.0) / np.maximum(state.tenure, SEASON_DAYS)
    return np.asarray(a_day * settings.clv_days * settings.margin)


def _dates(days: FloatArray) -> Any:
    return np.floor(days).astype("datetime64[D]")
