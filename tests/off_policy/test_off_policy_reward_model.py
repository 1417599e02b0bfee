import numpy as np
import pytest

from decision.errors import InvalidInput, NotEnoughData
from experiments.off_policy import cross_fit, folds_by_customer, ridge
from experiments.off_policy.reward_model import Predict


@pytest.fixture
def log() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(3_000, 3)) * [1, 100, 0.01] + [0, 1_000, 0]
    action = rng.integers(4, size=3_000)
    reward = np.where(action == 1, features[:, 0], 0.2 * action) + rng.normal(size=3_000)
    return {"features": features, "action": action, "reward": reward}


def test_a_customer_is_in_one_fold_only_and_folds_are_even() -> None:
    customer = np.random.default_rng(0).integers(500, size=4_000)
    fold = folds_by_customer(customer, seed=3, folds=5)
    assert all(len(set(fold[customer == one])) == 1 for one in np.unique(customer))
    sizes = [len(set(customer[fold == one])) for one in range(5)]
    assert max(sizes) - min(sizes) <= 1


def test_folds_follow_the_customer_not_the_order_of_rounds() -> None:
    customer = np.array([f"c{i % 40}" for i in range(200)])
    shuffle = np.random.default_rng(1).permutation(200)
    fold = folds_by_customer(customer, seed=9)
    assert (folds_by_customer(customer[shuffle], seed=9) == fold[shuffle]).all()
    assert (folds_by_customer(customer, seed=10) != fold).any()


def test_no_round_is_predicted_by_a_model_that_saw_its_customer() -> None:
    customer = np.random.default_rng(0).integers(30, size=300).astype(float)

    def spy(features: np.ndarray, action: np.ndarray, reward: np.ndarray, n_actions: int) -> Predict:
        seen = set(features[:, 0])
        return lambda rows: np.array([[float(row in seen)] * n_actions for row in rows[:, 0]])

    fold = folds_by_customer(customer, seed=1)
    q_hat = cross_fit(customer[:, None], np.zeros(300, dtype=int), np.zeros(300), fold, n_actions=2, fit=spy)
    assert q_hat.shape == (300, 2)
    assert (q_hat == 0).all()


def test_ridge_finds_what_an_action_does_to_whom(log: dict[str, np.ndarray]) -> None:
    predicted = ridge(alpha=1.0)(**log, n_actions=4)(np.array([[2.0, 1_000, 0], [-2.0, 1_000, 0]]))
    # The standard error of a slope from 750 rounds of unit noise is 0.04.
    assert predicted == pytest.approx(np.array([[0, 2, 0.4, 0.6], [0, -2, 0.4, 0.6]]), abs=0.25)


def test_ridge_is_the_textbook_solution(log: dict[str, np.ndarray]) -> None:
    features, action, reward = log["features"][:60], log["action"][:60], log["reward"][:60]
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    one_hot = np.eye(4)[action]
    design = np.column_stack([scaled, one_hot, *(scaled * one_hot[:, [k]] for k in range(4))])
    centred = design - design.mean(axis=0)
    slope = np.linalg.solve(centred.T @ centred + 5 * np.eye(19), centred.T @ (reward - reward.mean()))
    fitted = reward.mean() + centred @ slope
    predicted = ridge(alpha=5.0)(features, action, reward, 4)(features)
    assert predicted[np.arange(60), action] == pytest.approx(fitted, abs=1e-5)


def test_an_action_without_rounds_gets_what_the_actions_share(log: dict[str, np.ndarray]) -> None:
    predicted = ridge()(**log, n_actions=6)(log["features"])
    assert predicted[:, 5] == pytest.approx(predicted[:, 4])
    assert predicted[:, 5].mean() == pytest.approx(log["reward"].mean(), abs=0.1)


def test_too_few_customers_or_folds_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="5 folds need at least 5 customers, found 2"):
        folds_by_customer(np.array([1, 2, 2]), seed=0)
    with pytest.raises(InvalidInput, match="at least 2 folds"):
        folds_by_customer(np.array([1, 2, 2]), seed=0, folds=1)


def test_rows_that_do_not_match_are_refused() -> None:
    action, reward = np.zeros(3, dtype=int), np.zeros(3)
    with pytest.raises(InvalidInput, match="one row a round"):
        cross_fit(np.zeros((4, 1)), action, reward, np.array([0, 1, 0]), n_actions=2)
    with pytest.raises(InvalidInput, match="at least 2 folds"):
        cross_fit(np.zeros((3, 1)), action, reward, np.zeros(3, dtype=int), n_actions=2)
