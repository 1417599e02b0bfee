"""The randomised data that every uplift metric reads, validated once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.rounds import FloatArray, IntArray
from experiments.uplift_metrics.clusters import Customers, members

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Trial:
    """One treatment against control, randomised with known probabilities; one row a decision.

    Parameters
    ----------
    outcome : float[n], the reward observed, in one unit.
    treated : bool[n], whether the customer got the treatment; else control.
    cate : float[n], the uplift a model predicts, in the unit of `outcome`. The model must not have been
        trained on these customers, or every metric flatters it.
    treatment_probability : float[n], in (0, 1): the probability with which the customer was treated.
    customer : ids of shape [n], where a customer may have several rows: intervals then know that they are
        one piece of evidence. None: each row is a customer of its own.

    Raises
    ------
    InvalidInput : a shape or value is not as above, or one of the two groups is empty.
    """

    outcome: FloatArray
    treated: BoolArray
    cate: FloatArray
    treatment_probability: FloatArray
    customer: Customers | None = None

    def __post_init__(self) -> None:
        treated = np.asarray(self.treated)
        if treated.ndim != 1 or treated.dtype != np.bool_ or treated.all() or not treated.any():
            raise InvalidInput(
                f"treated must be booleans of shape [n] with both groups in it, found {treated.dtype} "
                f"of {treated.shape}, {int(np.count_nonzero(treated))} of them true.",
                hint="Compare one treatment with control at a time: keep the rows of those two only.",
            )
        for name in ("outcome", "cate", "treatment_probability"):
            array = np.asarray(getattr(self, name), dtype=np.float64).view()
            if array.shape != treated.shape or not np.isfinite(array).all():
                raise InvalidInput(
                    f"{name} must be {len(treated)} finite numbers, found shape {list(array.shape)}, "
                    f"{int(np.count_nonzero(~np.isfinite(array)))} not finite.",
                    hint="Give one number for every customer.",
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        members(self.customer, len(treated))
        outside = (self.treatment_probability <= 0) | (self.treatment_probability >= 1)
        if outside.any():
            raise InvalidInput(
                f"treatment_probability must lie in (0, 1), found {self.treatment_probability[outside][0]} "
                f"({int(outside.sum())} such).",
                hint="Leave out customers who could only be treated, or never.",
            )

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def member(self) -> IntArray:
        """int[n], the number of each row's customer, from 0."""
        return members(self.customer, len(self))

    @property
    def weight(self) -> FloatArray:
        """float[n], 1 / the probability of the group the customer fell into."""
        chance = np.where(self.treated, self.treatment_probability, 1 - self.treatment_probability)
        weight: FloatArray = 1 / chance
        return weight
