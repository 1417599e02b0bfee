from __future__ import annotations

import numpy as np
import pytest

from decision.policies.action_features import ActionFeatures
from decision.records import CONTROL_ACTION, Action

ACTIONS = [CONTROL_ACTION, Action("a", "x"), Action("a", "y"), Action("b", "y"), Action("c", "z")]


@pytest.mark.parametrize("width", [0, 1, 4])
def test_designs_are_sums_of_parts(width: int) -> None:
    features = ActionFeatures(ACTIONS, width)
    members, weights, own = features.parts()
    x = np.random.default_rng(0).standard_normal(width)
    found = own.copy()
    for part in range(members.shape[1]):
        for number, weight in zip((1.0, *x), weights[:, part], strict=True):
            found[:, weight] += number * members[:, part]
    np.testing.assert_allclose(found, features.design(np.arange(len(ACTIONS)), x), rtol=1e-12)
