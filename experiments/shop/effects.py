"""What the simulated customers are like underneath: how offers and channels move their odds. Invented, not measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OfferTraits:
    """How a kind of offer works at its usual terms.

    `lift` is in log-odds of a repurchase, `weights` in log-odds per unit of a column, `basket` in log of the
    basket; `redemption` is the probability that a repurchase redeems it.
    """

    lift: float
    weights: Mapping[str, float] = field(default_factory=dict)
    basket: float = 0.0
    redemption: float = 0.0


@dataclass(frozen=True, slots=True)
class ChannelTraits:
    """How a channel works: like an offer, and the probabilities that a message is seen and that it is one too many."""

    lift: float
    weights: Mapping[str, float] = field(default_factory=dict)
    view: float = 0.5
    unsubscribe: float = 0.0


# Log-odds of a repurchase without contact; the intercept is set so that the average is BASE_RATE.
BASE_RATE = 0.17
BASE: Mapping[str, float] = {
    "age": -0.10,
    "tenure": 0.35,
    "engagement": 0.70,
    "spend": 0.20,
    "loyalty_tier=none": -0.25,
    "loyalty_tier=gold": 0.40,
    "loyalty_tier=platinum": 0.80,
    "device=app": 0.25,
    "favourite_category=electronics": -0.30,
    "favourite_category=grocery": 0.35,
    "area=rural": -0.10,
    "after_return": -0.45,
}
QUIRK = 0.35

# Being contacted at all: welcome to most, unwelcome to the weary, who are long with the shop and rarely look in.
CONTACT = 0.15
WEARY: Mapping[str, float] = {"age": 0.45, "tenure": 0.50, "engagement": -0.65}
WEARY_FROM, WEARY_SLOPE, WEARY_LOSS = 1.1, 4.0, -1.20
# Whoever would come back anyway is moved less: the part of an effect that is lost at high odds.
CEILING, CEILING_FROM, CEILING_SLOPE = 0.95, -0.80, 4.0

OFFERS: Mapping[str, OfferTraits] = {
    "none": OfferTraits(0.06, {"tenure": 0.10, "loyalty_tier=gold": 0.10, "after_return": -0.25}),
    "percent_discount": OfferTraits(
        0.48, {"price_sensitivity": 0.45, "age": -0.10, "after_return": -0.15}, basket=0.04, redemption=0.85
    ),
    "bogo": OfferTraits(
        0.42,
        {
            "price_sensitivity": 0.15,
            "favourite_category=beauty": 0.55,
            "favourite_category=grocery": 0.35,
            "favourite_category=electronics": -0.50,
            "after_return": -0.20,
        },
        basket=0.20,
        redemption=0.60,
    ),
    "points_multiplier": OfferTraits(
        0.18,
        {
            "price_sensitivity": -0.12,
            "loyalty_tier=none": -0.15,
            "loyalty_tier=gold": 0.35,
            "loyalty_tier=platinum": 0.45,
        },
        redemption=0.90,
    ),
    "free_shipping": OfferTraits(
        0.26, {"area=rural": 0.30, "spend": -0.10, "after_return": 0.55}, basket=0.02, redemption=0.75
    ),
}
UNKNOWN_CHANNEL = ChannelTraits(0.0)
CHANNELS: Mapping[str, ChannelTraits] = {
    "on_page": ChannelTraits(0.0, {"engagement": 0.12, "device=desktop": 0.15}, view=0.90),
    "email": ChannelTraits(0.08, {"age": 0.15, "device=desktop": 0.12}, view=0.35, unsubscribe=0.004),
    "sms": ChannelTraits(0.10, {"age": -0.20, "device=mobile": 0.18}, view=0.85, unsubscribe=0.010),
    "web_push": ChannelTraits(-0.04, {"device=app": 0.40, "age": -0.12}, view=0.55, unsubscribe=0.006),
}
PAIRS: Mapping[str, float] = {
    "percent_discount@sms": 0.10,
    "points_multiplier@web_push": 0.12,
    "free_shipping@on_page": 0.10,
    "bogo@sms": -0.08,
}
# How much the truth differs between seeds: standard deviations in log-odds.
LIFT_SD, WEIGHT_SD, WEIGHT_SHARE, PAIR_SD = 0.04, 0.08, 0.3, 0.04

# Baskets in log of currency units; `BASKET_SD` is the spread of one customer's baskets.
BASKET_LOG, BASKET_BY_SPEND, BASKET_SD = 3.95, 0.45, 0.40
BASKET: Mapping[str, float] = {
    "favourite_category=electronics": 0.30,
    "favourite_category=grocery": -0.25,
    "loyalty_tier=platinum": 0.10,
    "after_return": -0.05,
}

# Of the orders, how many are paid back wholly or in part; fashion is tried on at home.
REFUND_FULL, REFUND_PARTIAL = 0.06, 0.04
REFUND_FASHION, REFUND_AFTER_RETURN = 1.5, 1.2
PARTIAL_LOW, PARTIAL_HIGH = 0.2, 0.8

# Looking in without buying, and clicking on what was seen: log-odds.
BROWSE, CLICK = -0.6, -2.2
BROWSE_BY_ENGAGEMENT, CLICK_BY_ENGAGEMENT = 0.5, 0.4
