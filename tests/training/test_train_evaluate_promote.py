"""From a ledger to a champion by the commands a marketer types, with everything in MLflow.

One shop lives through all of it in `story`; the tests look at what each step left.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from decision.bundle.manifest import Provenance
from decision.cli import main
from decision.errors import NotEnoughData, NotFound
from decision.flow.promotion import promote
from decision.ledger.base import Promotion, Rewarded
from decision.records import action_named
from decision.serving import champion_from
from decision.wiring import Home, system_user
from experiments import tracking
from experiments.challenger import Settings
from experiments.dataset import read_dataset
from experiments.evaluate import evaluate
from experiments.learners import USUAL
from experiments.train import train
from tests import support, trials

MODEL = "encore-trial-shop"
QUICK = ("train", "--folds", "2", "--repeats", "1")
Database = Path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """MLflow's database after its migrations, which take seconds: each shop starts from a copy."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        quiet(patch)
        import mlflow

        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def quiet(patch: pytest.MonkeyPatch) -> None:
    """Forget what MLflow's module remembers of another test, and what it leaves in the environment."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"):
        patch.setenv(name, "to be restored")
        patch.delenv(name)


@dataclass
class Shop:
    """A folder with a shop in it, and with MLflow's database."""

    root: Path
    said: dict[str, Result] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def encore(self, *words: str) -> Result:
        found = CliRunner().invoke(main, ["--home", str(self.home.root), *words])
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found

    def promotions(self) -> list[Promotion]:
        return self.home.ledger().promotions()


@contextmanager
def opened(root: Path, rows: Sequence[Rewarded], database: Database) -> Iterator[Shop]:
    """Open a shop with a past and make its folder the current one, as the commands expect."""
    trials.home(root / "home", rows)
    (root / "mlruns").mkdir()
    shutil.copyfile(database, root / "mlruns" / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        quiet(patch)
        patch.chdir(root)
        yield Shop(root)


@pytest.fixture(scope="module")
def story(past: trials.Past, empty_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Train, evaluate, promote; train another, which the gate refuses; force it; roll back."""
    with opened(tmp_path_factory.mktemp("story"), past.rows, empty_database) as shop:
        steps = {
            "train": QUICK,
            "evaluate": ("evaluate",),
            "promote": ("promote",),
            "train again": (*QUICK, "--seed", "2", "--policy", "greedy_uplift"),
            "refuse": ("promote",),
        }
        for name, words in steps.items():
            shop.said[name] = shop.encore(*words)
        shop.said["promotions after refusal"] = shop.promotions()  # type: ignore[assignment]
        shop.said["force"] = shop.encore("promote", "--force", "the greedy one is for a demonstration")
        shop.said["champion after force"] = aliases()["champion"]
        shop.said["rollback"] = shop.encore("rollback", "--reason", "it was only for show")
        yield shop


def client() -> Any:
    import mlflow

    mlflow.set_tracking_uri(tracking.tracking_uri())
    return mlflow.MlflowClient()


def aliases() -> dict[str, str]:
    """Return by alias the bundle of the registered model that has it."""
    model = client().get_registered_model(MODEL)
    return {
        alias: client().get_model_version(MODEL, version).tags["bundle"] for alias, version in model.aliases.items()
    }


def runs(kind: str) -> list[Any]:
    """Return the runs of a step, oldest first."""
    experiment = client().get_experiment_by_name(MODEL)
    found = client().search_runs([experiment.experiment_id], f"tags.`encore.step` = '{kind}'")
    return sorted(found, key=lambda run: run.info.start_time)


def files(run: Any, folder: str = "") -> set[str]:
    return {Path(file.path).name for file in client().list_artifacts(run.info.run_id, folder or None)}


def test_training_says_what_it_tried_and_chose(story: Shop) -> None:
    said = story.said["train"]
    assert said.exit_code == 0
    for name in USUAL:
        assert name in said.stdout
    assert "chosen: pooled_sparse, because" in said.stdout
    version = story.home.bundles.versions()[0]
    assert f"bundle {version} from " in said.stdout
    assert "registered version 1 (challenger)" in said.stdout
    assert "cross-fitting causalml_uplift_forest" in said.stderr


def test_a_run_holds_what_it_was_trained_with(story: Shop) -> None:
    (run, _) = runs("train")
    programme = story.home.programme()
    data, _ = read_dataset(story.home.ledger(), programme).split(salt=programme.salt)
    expected = {
        "rows": str(len(data)),
        "data_sha256": data.sha256,
        "programme_digest": programme.digest,
        "seed": "1",
        "folds": "2",
        "repeats": "1",
        "actions": "3",
        "policy": "thompson",
    }
    assert expected.items() <= run.data.params.items()
    assert run.data.tags["encore.chosen"] == "pooled_sparse"
    assert run.data.tags["encore.simulated"] == "false"
    assert run.data.tags["encore.bundle"] == story.home.bundles.versions()[0]
    assert run.info.status == "FINISHED"


def test_a_run_holds_the_value_of_its_policy_with_an_interval(story: Shop) -> None:
    metrics = runs("train")[0].data.metrics
    low, value, high = (metrics[f"policy_value{end}"] for end in ("_low", "", "_high"))
    assert low < value < high
    # Student's quantile of hundreds of customers is a little above 1.96.
    assert high - low == pytest.approx(2 * 1.96 * metrics["policy_value_se"], rel=0.01)


def test_every_learner_has_a_run_of_its_own_under_it(story: Shop) -> None:
    parent = runs("train")[0].info.run_id
    nested = [run for run in runs("candidate") if run.data.tags["mlflow.parentRunId"] == parent]
    assert {run.data.params["learner"] for run in nested} == set(USUAL)
    chosen = [run.data.params["learner"] for run in nested if run.data.tags["encore.chosen"] == "true"]
    assert chosen == ["pooled_sparse"]
    for run in nested:
        assert run.data.metrics["policy_value_low"] < run.data.metrics["policy_value_high"]


def test_a_run_holds_its_plots_and_what_can_be_read_of_it(story: Shop) -> None:
    for run in runs("train"):
        assert files(run, "plots") == {
            "policy_value.png",
            "who_gets_what.png",
            "four_groups.png",
            "cost_curve.png",
            "uplift_by_decile.png",
            "qini.png",
            "calibration.png",
            "feature_effects.png",
            "policy_tree.png",
        }
        assert files(run) >= {"metrics.csv", "policy_tree.txt", "model_card.md", "environment.txt"}


def text_of(run: Any, name: str) -> str:
    return Path(run.info.artifact_uri.removeprefix("file://"), name).read_text()


def test_every_metric_has_an_interval_and_is_there_per_fold(story: Shop) -> None:
    run = runs("train")[0]
    metrics = run.data.metrics
    for name in ("policy_value", "gain_over_control", "targeting_gain", "qini/bogo at on_page", "policy_tree/lost"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
    for name, value in metrics.items():
        assert np.isfinite(value), name
    history = client().get_metric_history(run.info.run_id, "by_fold/policy_value")
    assert sorted(point.step for point in history) == [1, 2]
    assert np.mean([point.value for point in history]) == pytest.approx(metrics["policy_value"], rel=0.1)
    table = pd.read_csv(io.StringIO(text_of(run, "metrics.csv")))
    assert set(table.customers) == {"all", "fold 1", "fold 2"}
    assert table[table["absent because"].isna()].definition.notna().all()


def test_candidates_can_be_sorted_by_money_and_all_metrics(story: Shop) -> None:
    usable = [run for run in runs("candidate") if "encore.failure" not in run.data.tags]
    keys = {frozenset(run.data.metrics) & {"policy_value", "gain_over_best_constant_low"} for run in usable}
    assert keys == {frozenset({"policy_value", "gain_over_best_constant_low"})}


def test_the_model_card_goes_with_run_model_and_registered_version(story: Shop) -> None:
    run = runs("train")[0]
    card = text_of(run, "model_card.md")
    version = client().get_model_version(MODEL, "1")
    assert version.description.startswith("# Trial shop: policy ")
    assert card.startswith(version.description.partition("\n\nThe rest is in")[0])
    for part in ("## Data", "## How good", "## Who gets what", "## Limits", run.data.params["data_sha256"]):
        assert part in card
    assert run.data.tags["encore.because"] in card
    assert "python==3" in text_of(run, "environment.txt")


def test_the_bundle_and_its_programme_go_with_the_model(story: Shop) -> None:
    version = client().get_model_version_by_alias(MODEL, "champion")
    folder = Path(client().get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
    assert folder.is_relative_to(story.root / "mlruns" / "artifacts")
    bundle = story.home.bundles.read(version.tags["bundle"])
    assert bundle.manifest.provenance.run_id == version.run_id


def test_evaluation_shows_every_policy_with_three_estimates(story: Shop) -> None:
    said = story.said["evaluate"]
    assert said.exit_code == 0
    for name in ("challenger", "champion", "business as usual", "uniform", *(f"always {a}" for a in trials.ACTIONS)):
        assert f"\n{name} " in said.stdout
    assert "champion business as usual" in said.stdout
    assert "Promote the challenger." in said.stdout


def test_the_evaluation_is_on_customers_nobody_was_trained_on(story: Shop) -> None:
    programme = story.home.programme()
    training, held_out = read_dataset(story.home.ledger(), programme).split(salt=programme.salt)
    run = runs("evaluate")[0]
    assert run.data.params["rows"] == str(len(held_out))
    assert run.data.params["data_sha256"] == held_out.sha256
    assert held_out.sha256 != training.sha256


def test_the_run_of_an_evaluation_holds_the_verdict_and_all_intervals(story: Shop) -> None:
    run = runs("evaluate")[0]
    metrics = run.data.metrics
    assert 0.0 < metrics["gain_lower_bound"] < metrics["gain"]
    assert metrics["gain_low"] < metrics["gain_lower_bound"] < metrics["gain_high"]
    for policy in ("challenger", "champion", "business_as_usual", "uniform", "always_discount_at_email"):
        for by in ("dr", "ips", "snips"):
            low, value, high = (metrics[f"{policy}.{by}{end}"] for end in ("_low", "", "_high"))
            assert low <= value <= high
    assert run.data.tags["encore.promote"] == "true"
    assert files(run) >= {"verdict.txt", "plots"}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_figures_of_the_evaluation_are_recomputed_from_the_files(story: Shop, tmp_path: Path, form: str) -> None:
    import pandas as pd

    folder = tmp_path / "out"
    assert story.encore("export", str(folder), "--format", form).exit_code == 0
    read = pd.read_parquet if form == "parquet" else pd.read_csv
    decisions, rewards = read(folder / f"decisions.{form}"), read(folder / f"rewards.{form}")
    log = decisions.merge(rewards[rewards["latest"] & (rewards["status"] == "final")], on="decision_id")
    judges = log[log["held_out"] & (log["group"] == "random")]

    run = runs("evaluate")[0]
    assert str(len(judges)) == run.data.params["rows"]
    for action_id in trials.ACTIONS:
        weight = (judges["action_id"] == action_id) / judges["propensity"]
        worth = weight * judges["value_micros"] / 1e6
        key = f"always_{action_id.replace('@', '_at_')}"
        assert worth.mean() == pytest.approx(run.data.metrics[f"{key}.ips"], rel=1e-9)
        assert worth.sum() / weight.sum() == pytest.approx(run.data.metrics[f"{key}.snips"], rel=1e-9)


def test_estimators_agree_on_what_a_rule_is_worth(story: Shop) -> None:
    metrics = runs("evaluate")[0].data.metrics
    for by in ("ips", "snips"):
        width = metrics[f"always_control.{by}_high"] - metrics[f"always_control.{by}_low"]
        assert abs(metrics[f"always_control.{by}"] - metrics["always_control.dr"]) < 0.5 * width
    # Without a champion business as usual serves, and this programme's is to leave everybody alone.
    assert metrics["champion.dr"] == metrics["business_as_usual.dr"] == metrics["always_control.dr"]
    assert metrics["challenger.dr"] > metrics["always_control.dr_high"]


def test_a_proven_gain_is_promoted(story: Shop) -> None:
    said = story.said["promote"]
    first = story.home.bundles.versions()[0]
    assert said.exit_code == 0
    assert f"{first} serves now." in said.stdout
    promotion = story.promotions()[0]
    assert (promotion.bundle_version, promotion.kind, promotion.reason) == (first, "promote", "passed the gate")
    assert promotion.verdict[0] == "Promote the challenger."


def test_a_gain_that_is_not_proven_is_refused_and_nothing_changes(story: Shop) -> None:
    """The second is trained on the same data as the champion: it can't be clearly better."""
    said = story.said["refuse"]
    assert said.exit_code == 1
    assert "Keep the champion." in said.stdout
    assert said.stdout.endswith("Not promoted.\n")
    assert len(story.said["promotions after refusal"]) == 1  # type: ignore[arg-type]


def test_force_promotes_and_the_reason_is_kept(story: Shop) -> None:
    said, second = story.said["force"], story.home.bundles.versions()[1]
    assert said.exit_code == 0
    promotion = story.promotions()[1]
    assert promotion.bundle_version == second
    assert promotion.reason == "forced: the greedy one is for a demonstration"
    assert promotion.verdict[0] == "Keep the champion."
    assert story.said["champion after force"] == second


def test_each_change_of_champion_is_an_act_of_who_made_it(story: Shop) -> None:
    first, second = story.home.bundles.versions()
    acts = [act for act in story.home.ledger().acts() if act.act != "upgrade"]
    assert [(act.actor, act.act, act.detail["bundle"]) for act in acts] == [
        (system_user(), "promote", first),
        (system_user(), "promote", second),
        (system_user(), "rollback", first),
    ]
    assert acts[1].detail["reason"] == "forced: the greedy one is for a demonstration"


def test_rollback_brings_the_earlier_champion_back_in_the_ledger_and_in_mlflow(story: Shop) -> None:
    said, (first, second) = story.said["rollback"], story.home.bundles.versions()
    assert said.exit_code == 0
    assert said.stdout == f"{first} serves again.\n"
    assert said.stderr == ""
    assert [(p.kind, p.bundle_version) for p in story.promotions()] == [
        ("promote", first),
        ("promote", second),
        ("rollback", first),
    ]
    assert aliases() == {"champion": first, "challenger": second}


def test_the_registered_model_loads_and_predicts_what_the_service_would(story: Shop) -> None:
    import mlflow

    client()
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    assert [column.name for column in model.metadata.get_input_schema()] == ["context"]
    assert len(model.metadata.get_output_schema()) == 2 * len(trials.ACTIONS)
    programme = story.home.programme()
    champion = champion_from(story.home.bundles.read(story.home.bundles.versions()[0]))
    contexts: list[dict[str, Any]] = [
        {"store": "munich", "age": 70.0, "tier": "gold"},
        {"store": "online", "age": 20.0, "tier": None},
        {"store": None},
    ]
    found = model.predict(pd.DataFrame({"context": [json.dumps(context) for context in contexts]}))
    assert list(found.columns) == [f"{what}.{a}" for what in ("value", "repurchase") for a in trials.ACTIONS]
    actions = [action_named(a) for a in trials.ACTIONS]
    for i, context in enumerate(contexts):
        goal = programme.goal_of(context["store"])
        served = champion.value(programme, goal, allowed=actions, context=context)
        assert found.iloc[i].tolist() == pytest.approx([*served.value, *served.repurchase], abs=1e-12)


def test_the_challenger_loads_by_its_alias(story: Shop) -> None:
    import mlflow

    client()
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@challenger")
    found = model.predict(pd.DataFrame({"context": [json.dumps({"store": "online", "age": 33.0})]}))
    assert found.shape == (1, 6)
    assert np.isfinite(found.to_numpy()).all()


def test_nothing_is_written_outside_the_home_and_mlruns(story: Shop) -> None:
    assert {path.name for path in story.root.iterdir()} == {"home", "mlruns"}


def test_an_offer_that_only_costs_is_not_promoted(empty_database: Database, tmp_path: Path) -> None:
    """Nobody comes back for the offers, some stay away: the best policy does nothing, as business as usual does."""
    with opened(tmp_path, trials.past(2_000, seed=3, effect=0.0, harm=0.3).rows, empty_database) as shop:
        settings = Settings(seed=1, folds=2, repeats=1)
        train(shop.home, settings, now=trials.NOW)
        said = shop.encore("promote")
        assert said.exit_code == 1
        assert "The gain isn't proven" in said.stdout
        assert shop.promotions() == []
        assert aliases().keys() == {"challenger"}
        empty = shop.encore("promote", "--force", " ")
        assert empty.exit_code == 2
        assert "Expected a reason" in empty.stderr
        assert shop.promotions() == []

        # Promoted by mistake, and back to where nothing was.
        (version,) = shop.home.bundles.versions()
        assert shop.encore("promote", "--force", "a mistake").exit_code == 0
        assert aliases().keys() == {"challenger", "champion"}
        again = shop.encore("promote", "--force", "twice")
        assert (again.exit_code, again.stdout) == (0, f"{version} serves already.\n")
        assert len(shop.promotions()) == 1
        back = shop.encore("rollback", "--reason", "it was a mistake")
        assert (back.exit_code, back.stdout, back.stderr) == (0, "Business as usual serves again.\n", "")
        assert aliases().keys() == {"challenger"}


@pytest.fixture
def bare(past: trials.Past, empty_database: Database, tmp_path: Path) -> Iterator[Shop]:
    """A shop with a short past, before any training."""
    with opened(tmp_path, past.rows[:300], empty_database) as shop:
        yield shop


def test_training_on_too_little_says_how_much_it_takes(bare: Shop) -> None:
    said = bare.encore(*QUICK)
    assert said.exit_code == 2
    assert "Expected at least 500 finished decisions to train on, found" in said.stderr
    assert bare.home.bundles.versions() == []
    assert [run.info.status for run in runs("train")] == ["FAILED"]


def test_evaluating_before_training_says_what_to_do(bare: Shop) -> None:
    with pytest.raises(NotFound, match="Run `encore train`"):
        evaluate(bare.home, None, now=trials.NOW)


def test_evaluating_without_held_out_customers_says_so(past: trials.Past, story: Shop, tmp_path: Path) -> None:
    programme = trials.programme()
    training, _ = read_dataset(story.home.ledger(), programme).split(salt=programme.salt)
    ids = {d.decision_id for d in training.decisions}
    home = trials.home(tmp_path / "home", [row for row in past.rows if row.decision.decision_id in ids])
    shutil.copytree(story.home.bundles.root, home.bundles.root)
    with pytest.raises(NotEnoughData, match="held-out customers, found none"):
        evaluate(home, None, now=trials.NOW)


@pytest.mark.parametrize(
    "words", [("train", "--folds", "1"), ("train", "--repeats", "0"), ("simulate", "--seeds", "0")], ids=" ".join
)
def test_numbers_that_make_no_sense_are_refused(bare: Shop, words: tuple[str, ...]) -> None:
    said = bare.encore(*words)
    assert said.exit_code == 2
    assert "is not in the range" in said.stderr


def rolled_back(home: Home, *, run_id: str = "a run of another database") -> Result:
    """Promote two bundles in the ledger alone, and roll back by the command."""
    provenance = Provenance("by hand", run_id, "", 0, 0, "", "")
    for seed in (1, 2):
        manifest = support.manifest(actions=trials.ACTIONS, provenance=provenance)
        version = support.write_bundle(home.bundles, manifest, seed=seed).version
        promote(
            version,
            programme=home.programme(),
            bundles=home.bundles,
            ledger=home.ledger(),
            reason="by hand",
            verdict=(),
            now=trials.NOW,
        )
    return CliRunner().invoke(main, ["--home", str(home.root), "rollback", "--reason", "a test"])


def test_a_rollback_that_mlflow_does_not_know_of_is_told_in_a_line_and_stands(bare: Shop) -> None:
    said = rolled_back(bare.home)
    assert said.exit_code == 0
    assert said.stdout.endswith("serves again.\n")
    assert said.stderr.count("\n") == 1
    assert said.stderr.startswith("mlflow did not follow: Expected a registered model of encore-trial-shop")
    assert [p.kind for p in bare.promotions()] == ["promote", "promote", "rollback"]
    assert client().get_experiment_by_name(MODEL) is None


def test_any_fault_of_a_follower_leaves_the_rollback_alone(bare: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(home: Home, version: str) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(tracking, "on_champion_change", broken)
    said = rolled_back(bare.home)
    assert (said.exit_code, said.stderr) == (0, "mlflow did not follow: two lines\n")
    assert bare.promotions()[-1].kind == "rollback"


def test_a_rollback_to_a_bundle_that_no_run_made_leaves_mlflow_alone(bare: Shop) -> None:
    before = (bare.root / "mlruns" / "mlflow.db").read_bytes()
    said = rolled_back(bare.home, run_id="")
    assert (said.exit_code, said.stderr) == (0, "")
    assert (bare.root / "mlruns" / "mlflow.db").read_bytes() == before


def test_where_mlflow_was_never_used_a_rollback_creates_nothing(
    past: trials.Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet(monkeypatch)
    monkeypatch.chdir(tmp_path)
    said = rolled_back(trials.home(tmp_path / "home", past.rows[:5]))
    assert (said.exit_code, said.stderr) == (0, "")
    assert not (tmp_path / "mlruns").exists()


def test_a_promotion_that_mlflow_can_not_follow_still_counts(
    story: Shop, empty_database: Database, past: trials.Past, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bundle that was trained elsewhere: the ledger has it, so the command must not say it failed."""
    with opened(tmp_path, past.rows, empty_database) as shop:
        shutil.copytree(story.home.bundles.root, shop.home.bundles.root)
        said = shop.encore("promote", story.home.bundles.versions()[0])
        assert said.exit_code == 0
        assert "serves now." in said.stdout
        assert len(shop.promotions()) == 1
        assert "MLflow's alias champion did not move" in caplog.text
