"""One learner a file, one line in the registry; `tests/learners` runs the contract on each."""

from experiments.learners.base import Learner
from experiments.learners.constant import Constant
from experiments.learners.pooled_linear import PooledLinear
from experiments.learners.t_learner import TLearner
from experiments.learners.uplift_forest import UpliftForest

LEARNERS: dict[str, Learner] = {
    learner.name: learner for learner in (Constant(), PooledLinear(), TLearner(), UpliftForest())
}
