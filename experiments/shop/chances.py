"""From traits and columns to chances: for every arrival and action, how likely is what."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from decision.programme.model import Offer, Programme
from decision.records import Action, FloatArray
from experiments.shop import effects
from experiments.shop.population import AFTER_RETURN, COLUMNS, NUMBERS, Population

_NOTHING = effects.OfferTraits(0.0)


@dataclass(frozen=True, slots=True)
class Chances:
    """What may happen to n arrivals under K actions.

    `order` [n, K] are the odds of an order inside the window, `log_basket` [n, K] the mean log of its gross value,
    `redemption` [K] the probability that it redeems the offer. `click` [n, K] and `browse` [n] hold for whoever
    does not order, `view` [K] for everyone. `refund_full` and `refund_partial` [n] are per order,
    `unsubscribe` [n, K] per contact.
    """

    order: FloatArray
    log_basket: FloatArray
    redemption: FloatArray
    view: FloatArray
    click: FloatArray
    browse: FloatArray
    refund_full: FloatArray
    refund_partial: FloatArray
    unsubscribe: FloatArray


@dataclass(frozen=True, slots=True)
class Nature:
    """The true parameters of one seed: for K actions a `lift` [K], `weights` [K, D] and a shift of the basket [K]."""

    base: FloatArray
    intercept: float
    treated: FloatArray
    lift: FloatArray
    weights: FloatArray
    basket: FloatArray
    redemption: FloatArray
    view: FloatArray
    unsubscribe: FloatArray

    def chances(self, x: FloatArray, quirk: FloatArray) -> Chances:
        """Return what may happen, for columns `x` [n, D] and quirks [n]."""
        base = self.intercept + x @ self.base + effects.QUIRK * quirk
        weary = _sigmoid(effects.WEARY_SLOPE * (x @ _row(effects.WEARY) - effects.WEARY_FROM))
        open_to = 1.0 - effects.CEILING * _sigmoid(effects.CEILING_SLOPE * (base - effects.CEILING_FROM))
        wanted = open_to[:, None] * (self.lift + x @ self.weights.T)
        unwanted = (effects.WEARY_LOSS * weary)[:, None] * self.treated
        engagement = x[:, NUMBERS.index("engagement")]
        click = _sigmoid(effects.CLICK + effects.CLICK_BY_ENGAGEMENT * engagement - 1.5 * weary)
        log_basket = effects.BASKET_LOG + effects.BASKET_BY_SPEND * x[:, NUMBERS.index("spend")]
        returns = 1.0 + (effects.REFUND_AFTER_RETURN - 1.0) * x[:, COLUMNS.index(AFTER_RETURN)]
        returns *= 1.0 + (effects.REFUND_FASHION - 1.0) * x[:, COLUMNS.index("favourite_category=fashion")]
        return Chances(
            order=_sigmoid(base[:, None] + wanted + unwanted),
            log_basket=(log_basket + x @ _row(effects.BASKET))[:, None] + self.basket,
            redemption=self.redemption,
            view=self.view,
            click=click[:, None] * self.treated,
            browse=_sigmoid(effects.BROWSE + effects.BROWSE_BY_ENGAGEMENT * engagement),
            refund_full=effects.REFUND_FULL * returns,
            refund_partial=effects.REFUND_PARTIAL * returns,
            unsubscribe=(1.0 + 6.0 * weary)[:, None] * self.unsubscribe,
        )


def draw_nature(programme: Programme, population: Population, *, seed: int, return_share: float) -> Nature:
    """Return the truth of a seed. What is drawn for an offer or a channel does not depend on which others there are."""
    actions = programme.actions
    treated = np.array([not a.is_control for a in actions], float)
    offers = [_NOTHING if a.is_control else effects.OFFERS[programme.offers[a.offer].kind] for a in actions]
    channels = [effects.CHANNELS.get(a.channel, effects.UNKNOWN_CHANNEL) for a in actions]
    lifts, weights = zip(*(_drawn(action, programme, seed) for action in actions), strict=True)
    base = _row(effects.BASE)
    return Nature(
        base=base,
        intercept=_intercept(population, base, return_share),
        treated=treated,
        lift=np.array(lifts),
        weights=np.array(weights),
        basket=np.array([offer.basket for offer in offers]),
        redemption=np.array([offer.redemption for offer in offers]),
        view=treated * [channel.view for channel in channels],
        unsubscribe=treated * [channel.unsubscribe for channel in channels],
    )


def _drawn(action: Action, programme: Programme, seed: int) -> tuple[float, FloatArray]:
    """Return the lift and the weights [D] of an action: traits of offer and channel, each with the seed's variation."""
    if action.is_control:
        return 0.0, np.zeros(len(COLUMNS))
    terms = programme.offers[action.offer]
    offer, channel = effects.OFFERS[terms.kind], effects.CHANNELS.get(action.channel, effects.UNKNOWN_CHANNEL)
    offer_lift, offer_weights = _varied(offer.lift, offer.weights, _named_rng(seed, f"offer {action.offer}"))
    channel_lift, channel_weights = _varied(
        channel.lift, channel.weights, _named_rng(seed, f"channel {action.channel}")
    )
    pair = effects.PAIRS.get(f"{terms.kind}@{action.channel}", 0.0)
    pair += effects.PAIR_SD * _named_rng(seed, action.action_id).standard_normal()
    strength = _strength(terms)
    lift = effects.CONTACT + strength * offer_lift + channel_lift + pair
    return lift, strength * offer_weights + channel_weights


def _strength(offer: Offer) -> float:
    """Return how generous the terms are next to the usual ones: 15 %, double points, two for one."""
    if offer.kind == "percent_discount":
        return float(offer.terms["percent"]) / 15.0
    if offer.kind == "points_multiplier":
        return float(offer.terms["multiplier"]) - 1.0
    return float(offer.terms["get"] / offer.terms["buy"]) if offer.kind == "bogo" else 1.0


def _varied(lift: float, weights: Mapping[str, float], rng: np.random.Generator) -> tuple[float, FloatArray]:
    some = rng.random(len(COLUMNS)) < effects.WEIGHT_SHARE
    noise = some * rng.normal(0.0, effects.WEIGHT_SD, len(COLUMNS))
    return lift + effects.LIFT_SD * rng.standard_normal(), _row(weights) + noise


def _named_rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, 3, zlib.crc32(name.encode())])


def _row(weights: Mapping[str, float]) -> FloatArray:
    return np.array([weights.get(column, 0.0) for column in COLUMNS])


def _sigmoid(z: FloatArray) -> FloatArray:
    odds: FloatArray = 1.0 / (1.0 + np.exp(-z))
    return odds


def _intercept(population: Population, base: FloatArray, return_share: float) -> float:
    """Return the intercept at which untreated odds average BASE_RATE over customers and triggers."""
    z = population.x @ base + effects.QUIRK * population.quirk
    back = effects.BASE[AFTER_RETURN]
    low, high = -10.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        rate = (1 - return_share) * _sigmoid(z + middle).mean() + return_share * _sigmoid(z + middle + back).mean()
        low, high = (low, middle) if rate > effects.BASE_RATE else (middle, high)
    return low
