"""Corrected p-values, recomputed by hand."""

import gc

import pytest

from experiments.ab.multiplicity import Correction, adjusted


def test_holm_by_hand_and_nothing_stays_hidden_from_the_garbage_collector() -> None:
    assert adjusted([0.01, 0.04, 0.03, 0.04], Correction.HOLM) == pytest.approx([0.04, 0.09, 0.09, 0.09])
    assert adjusted([0.5, 1e-300], Correction.HOLM) == pytest.approx([0.5, 2e-300], rel=1e-12)
    assert gc.get_freeze_count() == 0
