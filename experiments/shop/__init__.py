"""The simulated shop: a world whose truth is known, so that a run can show that the loop learns."""

from __future__ import annotations

from experiments.shop.arrival import Arrival, Luck, draw_luck
from experiments.shop.truth import Kind, Truth
from experiments.shop.world import PROGRAMME, Shop, shop_programme
from experiments.shop.yardsticks import ConstantValues, constant_values

__all__ = [
    "PROGRAMME",
    "Arrival",
    "ConstantValues",
    "Kind",
    "Luck",
    "Shop",
    "Truth",
    "constant_values",
    "draw_luck",
    "shop_programme",
]
