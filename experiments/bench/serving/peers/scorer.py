"""The bundle's uplift model with numpy alone, as its authors would put it behind any server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class Scorer:
    """Linear heads: odds of a visit, odds of a repurchase, and the basket, of K actions for contexts of D numbers."""

    def __init__(self, path: Path) -> None:
        """Read the arrays of a bundle."""
        with np.load(path) as arrays:
            self._visit, self._repurchase, self._basket = (
                arrays[f"{name}.coefficients"] for name in ("visit", "repurchase", "basket")
            )
            self._smear = float(arrays["basket.smear"])
            self._low, self._high = arrays["basket.range"].tolist()

    def score(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return visit, repurchase and basket [N, 3, K] for contexts [N, D]."""
        design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        visit, repurchase = (1.0 / (1.0 + np.exp(-design @ head.T)) for head in (self._visit, self._repurchase))
        basket = np.clip(np.exp(design @ self._basket.T) * self._smear, self._low, self._high)
        return np.stack([visit, repurchase, basket], axis=1)
