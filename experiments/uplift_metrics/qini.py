"""The Qini curve and coefficient."""

from __future__ import annotations

from experiments.off_policy.rounds import FloatArray
from experiments.uplift_metrics.curve import Curve, gain_curve
from experiments.uplift_metrics.ranking import Top
from experiments.uplift_metrics.trial import Trial


def qini(trial: Trial, *, seed: int, replicates: int = 200, level: float = 0.95) -> Curve:
    """Radcliffe's Qini curve (2007), divided by the number of treated customers.

    At the top share phi of customers: (Y_t - Y_c * N_t / N_c) / N_t(1), with Y the sum of outcomes and N
    the number of treated or control customers in that share, N_t(1) all treated ones. Unequal treatment
    probabilities enter as inverse weights; equal ones cancel and leave Radcliffe's own formula.

    `above_random` is the Qini coefficient as an area: between curve and diagonal, in outcome units per
    customer. It is not divided by an ideal curve's area, which data do not identify unless outcomes are
    binary and no treatment does harm; multiply the gain by N_t(1) for Radcliffe's counts.
    """
    return gain_curve(trial, _qini_gain, seed=seed, replicates=replicates, level=level)


def _qini_gain(top: Top) -> FloatArray:
    return top.treated_share * top.uplift
