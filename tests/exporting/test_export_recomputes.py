"""A figure recomputed from the exported files with plain pandas, against the raw trial and against Encore."""

import numpy as np
import pytest

from decision.ledger.sqlite import SqliteLedger
from decision.programme.read import load_programme
from decision.wiring import utc_now
from experiments.importing.trial import import_trial
from experiments.importing.trial_mapping import read_trial_mapping
from experiments.off_policy import Rounds
from experiments.off_policy.ips import Ips

MAPPING = """
[trial]
name = "past"
decided_at = 2026-01-05
trigger = "purchase"
[arms]
column = "arm"
n = "control"
t = "thank_you@email"
[design]
n = 0.3
t = 0.7
[features]
age = "age"
[outcomes]
repurchased = "bought"
revenue = "spend"
"""


@pytest.fixture
def trial(tmp_path):
    """Write a trial of 4,000 customers in which those above 40 answer to the thank-you."""
    import pandas as pd

    rng = np.random.default_rng(11)
    age = rng.integers(18, 80, size=4_000)
    arm = np.where(rng.random(4_000) < 0.7, "t", "n")
    bought = (rng.random(4_000) < 0.1 + 0.2 * ((arm == "t") & (age > 40))).astype(int)
    rows = pd.DataFrame({"age": age, "arm": arm, "bought": bought, "spend": bought * rng.integers(5, 90, size=4_000)})
    rows.to_csv(tmp_path / "trial.csv", index=False)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return rows


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_an_ips_value_can_be_recomputed_from_the_files_alone(export, trial, form):
    load(export)
    assert export.run("--format", form).exit_code == 0

    # From here on only the files: "thank customers above 40, leave the others alone".
    decisions, rewards = export.read("decisions", form), export.read("rewards", form)
    log = decisions.merge(rewards[rewards["latest"] & (rewards["status"] == "final")], on="decision_id")
    target = np.where(log["context.age"] > 40, "thank_you@email", "control")
    from_files = ((log["action_id"] == target) / log["propensity"] * log["value_micros"] / 1e6).mean()

    assert len(log) == 4_000
    assert from_files == pytest.approx(by_hand(trial), rel=1e-12)
    assert from_files == pytest.approx(by_encore(export.ledger), rel=1e-9)


def load(export):
    programme = load_programme(export.root / "programme.toml")
    mapping, table = read_trial_mapping(export.root / "mapping.toml", export.root / "trial.csv", programme)
    import_trial(
        table, mapping, programme=programme, ledger=export.ledger, now=utc_now(), rejects_path=export.root / "r.csv"
    )


def by_hand(trial):
    """Return the same from the trial as it came: margin is 0.40 of spend, and e-mail costs nothing here."""
    followed = np.where(trial["age"] > 40, trial["arm"] == "t", trial["arm"] == "n")
    odds = np.where(trial["arm"] == "t", 0.7, 0.3)
    return (followed / odds * 0.40 * trial["spend"]).mean()


def by_encore(ledger: SqliteLedger):
    rows = list(ledger.rewarded())
    catalogue = ("control", "thank_you@email")
    above = np.array([row.decision.context["age"] > 40 for row in rows], dtype=float)
    rounds = Rounds(
        action=np.array([catalogue.index(row.decision.action_id) for row in rows]),
        reward=np.array([row.reward.value_micros / 1e6 for row in rows]),
        propensity=np.array([row.decision.propensity for row in rows]),
        target=np.column_stack([1 - above, above]),
    )
    value, _ = Ips().value(Ips().columns(rounds).mean(axis=0))
    return value


def test_an_export_of_a_home_that_is_not_the_shop_s_folder_names_the_missing_programme(tmp_path, export):
    (export.root / "programme.toml").unlink()
    result = export.run()
    assert result.exit_code == 2
    assert "Expected a programme at" in result.stderr
