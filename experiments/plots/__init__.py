"""Plots for people: each function returns a matplotlib figure and draws on no global state."""

from experiments.plots.facts import feature_effects
from experiments.plots.groups import four_groups
from experiments.plots.money import budget_and_share, deciles
from experiments.plots.policies import policy_values, regret_over_time, who_gets_what
from experiments.plots.style import DIM, INK, MARK, PALETTE, heading, own_style, panels, short
from experiments.plots.tree import policy_tree
from experiments.plots.uplift import calibrations, qini_curves

__all__ = [
    "DIM",
    "INK",
    "MARK",
    "PALETTE",
    "budget_and_share",
    "calibrations",
    "deciles",
    "feature_effects",
    "four_groups",
    "heading",
    "own_style",
    "panels",
    "policy_tree",
    "policy_values",
    "qini_curves",
    "regret_over_time",
    "short",
    "who_gets_what",
]
