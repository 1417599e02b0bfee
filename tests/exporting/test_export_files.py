import json
from datetime import timedelta

import pytest

from decision.errors import InvalidInput
from decision.programme.read import load_programme
from decision.wiring import utc_now
from experiments.exporting.export import export_ledger
from experiments.exporting.sources import Snapshot

FORMS = pytest.mark.parametrize("form", ["parquet", "csv"])
START = "2026-03-01 09:30:00+00:00"


@FORMS
def test_a_decision_is_one_row_with_everything_that_was_logged(filled, form):
    assert filled.run("--format", form).exit_code == 0
    import pandas as pd

    rows = filled.read("decisions", form).set_index("decision_id")
    assert list(rows.index) == ["d1", "d2", "d3"]
    first = rows.loc["d1"]
    assert pd.to_datetime(first["decided_at"], utc=True) == pd.Timestamp(START) + timedelta(minutes=1)
    assert first["propensity"] == 0.1 + 0.2
    assert json.loads(first["allowed"]) == ["control", "thank_you@email"]
    assert json.loads(first["distribution"]) == [1.0 - (0.1 + 0.2), 0.1 + 0.2]
    assert json.loads(first["predictions"]) == {"repurchase": [0.1, None], "value": [1.5, None]}
    assert json.loads(first["rejected"]) == [["bogo@email", "no_consent", "no word on e-mail"]]
    assert json.loads(first["reasons"]) == [["explored", 'said "why", plainly']]
    assert (first["group"], first["coupon"], first["contact_cost_micros"]) == ("policy", "ABC", 20_000)
    assert rows.loc["d3", ["expires_at", "coupon"]].isna().all()


@FORMS
def test_every_fact_that_any_context_had_is_a_column_also_one_the_programme_dropped(filled, form):
    filled.run("--format", form, "--tables", "decisions")
    rows = filled.read("decisions", form).set_index("decision_id")
    facts = [name for name in rows.columns if name.startswith("context.")]
    assert facts == [f"context.{name}" for name in ("trigger", "order_total", "age", "tier", "dropped")]
    assert list(rows["context.trigger"]) == ["purchase", "return", "purchase"]
    assert rows.loc["d1", "context.order_total"] == 49.9
    assert rows.loc["d2", ["context.order_total", "context.age"]].isna().all()
    assert rows.loc["d2", ["context.tier", "context.dropped"]].tolist() == ["gold", "yes"]


@FORMS
def test_propensities_are_in_long_form_with_what_was_predicted(filled, form):
    filled.run("--format", form)
    rows = filled.read("propensities", form)
    assert len(rows) == 5
    assert rows.groupby("decision_id")["probability"].sum().tolist() == pytest.approx([1.0, 1.0, 1.0])
    control, treated = rows[rows["decision_id"] == "d1"].to_dict("records")
    assert (control["action_id"], control["repurchase"], control["value"]) == ("control", 0.1, 1.5)
    assert treated["probability"] == 0.1 + 0.2
    assert rows[rows["decision_id"] == "d2"][["repurchase", "value"]].isna().all(axis=None)


@FORMS
def test_all_revisions_of_a_reward_are_there_and_the_last_is_marked(filled, form):
    filled.run("--format", form)
    rows = filled.read("rewards", form)
    assert rows[["decision_id", "value_micros", "latest"]].values.tolist() == [
        ["d1", 5, False],
        ["d2", 7, False],
        ["d2", 9, False],
        ["d1", 4, True],
        ["d2", 2**53 + 1, True],
    ]
    assert rows["status"].tolist() == ["final", "final", "provisional", "final", "final"]
    assert rows["visited"].all()


@FORMS
def test_outcomes_keep_their_properties(filled, form):
    filled.run("--format", form)
    (row,) = filled.read("outcomes", form).to_dict("records")
    assert json.loads(row["properties"])["order_id"] == "ö,1"
    assert (row["message_id"], row["customer_id"], row["name"]) == ("m1", "c1", "Order Completed")


@FORMS
def test_an_empty_ledger_gives_files_with_columns_and_no_rows(export, form):
    assert export.run("--format", form).exit_code == 0
    for table in ("decisions", "outcomes", "rewards", "propensities"):
        rows = export.read(table, form)
        assert len(rows) == 0
        assert len(rows.columns) >= 5


@FORMS
def test_the_readme_describes_exactly_the_columns_of_the_files(filled, form):
    filled.run("--format", form)
    text = (filled.root / "out" / "README.txt").read_text()
    for table in ("decisions", "outcomes", "rewards", "propensities"):
        part = text.split(f"{table}.{form}: ")[1].split("\n\n")[0].splitlines()[1:]
        assert [line.split()[0] for line in part] == list(filled.read(table, form).columns)
        assert all(len(line.split(": ", 1)[1]) > 2 for line in part)
    assert (filled.root / "out" / "programme.toml").read_text() == (filled.root / "programme.toml").read_text()


def test_only_the_named_tables_are_written(filled):
    result = filled.run("--tables", "rewards, outcomes")
    assert result.stdout.splitlines() == [
        f"{filled.root}/out/rewards.parquet: 5 rows",
        f"{filled.root}/out/outcomes.parquet: 1 rows",
    ]
    names = sorted(path.name for path in (filled.root / "out").iterdir())
    assert names == ["README.txt", "outcomes.parquet", "programme.toml", "rewards.parquet"]


def test_an_unknown_table_and_a_folder_with_files_are_refused(filled):
    unknown = filled.run("--tables", "reward")
    assert unknown.exit_code == 2
    assert "unknown table 'reward'; did you mean 'rewards'?" in unknown.stderr
    filled.run()
    again = filled.run()
    assert again.exit_code == 2
    assert "Expected a new or empty folder" in again.stderr


def test_what_is_written_after_the_snapshot_is_not_exported(filled, more):
    snapshot = Snapshot.of(filled.ledger)
    more(filled.ledger)
    told = []
    written = export_ledger(
        filled.root / "out",
        ledger=filled.ledger,
        snapshot=snapshot,
        programme=load_programme(filled.root / "programme.toml"),
        programme_path=filled.root / "programme.toml",
        form="csv",
        tables=("decisions", "rewards"),
        now=utc_now(),
        advance=told.append,
    )
    assert written == {"decisions": 3, "rewards": 5}
    assert sum(told) == 8
    assert filled.read("rewards", "csv")["latest"].sum() == 2


def test_a_folder_is_never_half_replaced(filled):
    (filled.root / "out").mkdir()
    (filled.root / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="Name another folder"):
        export_ledger(
            filled.root / "out",
            ledger=filled.ledger,
            snapshot=Snapshot.of(filled.ledger),
            programme=load_programme(filled.root / "programme.toml"),
            programme_path=filled.root / "programme.toml",
            form="csv",
            tables=("rewards",),
            now=utc_now(),
        )
    assert [path.name for path in (filled.root / "out").iterdir()] == ["notes.txt"]
