"""One learner a file, one line in the registry; `tests/learners` runs the contract on each."""

from experiments.learners.base import Learner
from experiments.learners.causal_forest import CausalForest
from experiments.learners.constant import Constant
from experiments.learners.dr_learner import DrLearner
from experiments.learners.pooled_boosted import PooledBoosted
from experiments.learners.pooled_linear import PooledLinear
from experiments.learners.pooled_sparse import PooledSparse
from experiments.learners.r_learner import RLearner
from experiments.learners.s_learner import SLearner
from experiments.learners.t_learner import TLearner
from experiments.learners.uplift_forest import UpliftForest
from experiments.learners.x_learner import XLearner

LEARNERS: dict[str, Learner] = {
    learner.name: learner
    for learner in (
        Constant(),
        PooledLinear(),
        PooledSparse(),
        PooledBoosted(),
        SLearner(),
        TLearner(),
        XLearner(),
        RLearner(),
        DrLearner(),
        UpliftForest(),
        CausalForest(),
    )
}
# What training tries unless told otherwise: one of each kind, so that a run takes a minute.
USUAL: dict[str, Learner] = {
    name: LEARNERS[name]
    for name in (
        "constant",
        "pooled_linear",
        "pooled_sparse",
        "pooled_boosted",
        "causalml_t_learner",
        "causalml_uplift_forest",
    )
}
