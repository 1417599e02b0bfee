"""A run over everybody: to Parquet, to where decisions look, as segments, and what becomes of it."""

import csv
import json
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decision.errors import InvalidProgramme
from decision.flow.decide import decide
from decision.flow.forget import forget
from decision.ledger.base import NewProfile
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.records import Group, ProfileSource, Reason
from decision.serving import Serving
from decision.wiring import Home
from experiments.behaviour.meanings import COLUMNS
from experiments.customers.values import SEGMENTS, SOURCE, predicted_values
from tests.customers.conftest import done, encore
from tests.support import NOW, asked, only, programme


def everybody(home: Home, tmp_path: Path) -> dict[str, dict[str, object]]:
    del home
    rows = pq.read_table(tmp_path / "everybody.parquet").to_pylist()
    return {row["customer_id"]: row for row in rows}


def test_the_file_and_the_ledger_say_the_same(scored: Home, tmp_path: Path) -> None:
    ledger = scored.ledger()
    rows = everybody(scored, tmp_path)
    assert set(rows) == {f"c-{n}" for n in range(1, 9)}
    for name, row in rows.items():
        hers = ledger.profiles.of(name)
        assert [(s.name, s.version) for s in hers.sources] == [(SOURCE, row["model_version"])]
        assert hers.values["rfm"] == row["rfm"]
        assert hers.values["purchases"] == row["purchases"]
        assert hers.values["last_purchase"] == str(row["last_purchase"])
        assert "churn" not in hers.values, "there was not enough data"
    run = ledger.people.run()
    assert run is not None
    for kind in SEGMENTS:
        counted = {s.name: s.size for s in run.segments if s.kind == kind}
        assert sum(counted.values()) == run.customers == 8
        assert all(counted[name] == sum(row[kind] == name for row in rows.values()) for name in counted)
    assert not any(verdict.enough for verdict in run.verdicts)


def test_a_run_replaces_the_one_before_and_says_who_moved(scored: Home, tmp_path: Path) -> None:
    ledger = scored.ledger()
    first = ledger.people.run()
    assert first is not None
    source = ProfileSource(SOURCE, first.as_of, first.version)
    assert ledger.people.replace([NewProfile("c-1", source, {"rfm": "champions"})]) == 1
    assert ledger.people.replace([NewProfile("a stranger", source, {"rfm": "champions"})]) == 0
    with ledger._transaction() as db:
        db.execute("INSERT INTO profiles VALUES ('gone', 'predictions', 1, 'old', '{}')")
    done(scored, "customers", "score", str(tmp_path / "again.parquet"))
    assert ledger.profiles.of("gone").sources == ()
    assert ledger.profiles.of("a stranger").sources == ()
    run = ledger.people.run()
    assert run is not None
    assert (run.before, run.before_version) == (first.as_of, first.version)
    (moved,) = [m for m in run.migrations if m.kind == "rfm"]
    assert sum(map(sum, moved.counts)) == 8
    hers = everybody(scored, tmp_path)["c-1"]["rfm"]
    assert moved.counts[moved.rows.index("champions")][moved.columns.index(str(hers))] >= 1
    assert sum(moved.counts[0]) == 0, "nobody is new"


def test_segments_are_listed_and_exported_in_every_format(scored: Home, tmp_path: Path) -> None:
    rows = everybody(scored, tmp_path)
    listed = done(scored, "segments")
    name = str(rows["c-8"]["rfm"])
    members = sorted(row for row in rows if rows[row]["rfm"] == name)
    assert name in listed
    assert "Not enough data" in listed
    for ending in ("csv", "parquet", "ndjson"):
        assert f"of {name} in" in done(scored, "segments", "export", name, str(tmp_path / f"out.{ending}"))
    with (tmp_path / "out.csv").open() as file:
        in_csv = [row["customer_id"] for row in csv.DictReader(file)]
    in_ndjson = [json.loads(line)["customer_id"] for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    in_parquet = pq.read_table(tmp_path / "out.parquet")["customer_id"].to_pylist()
    assert in_csv == in_ndjson == in_parquet == members
    wrong = encore(scored, "segments", "export", "champion", str(tmp_path / "x.csv"))
    assert (wrong.exit_code, "did you mean 'champions'?" in wrong.stderr) == (2, True)
    wrong = encore(scored, "segments", "export", "champions", str(tmp_path / "x.xlsx"))
    assert (wrong.exit_code, ".ndjson" in wrong.stderr) == (2, True)


def test_models_that_know_the_day_already_are_refused(scored: Home, tmp_path: Path) -> None:
    wrong = encore(scored, "customers", "score", str(tmp_path / "x.parquet"), "--as-of", "2020-01-01")
    assert wrong.exit_code == 2
    assert "know nothing from 2020-01-01 on" in wrong.stderr
    assert not (tmp_path / "x.parquet").exists()


def test_who_is_forgotten_loses_her_predictions(scored: Home) -> None:
    names = map(str, count()).__next__
    forget(scored.ledger_path, "c-3", programme=programme(), names=names, actor="x", now=NOW)
    ledger = scored.ledger()
    assert ledger.profiles.of("c-3").sources == ()
    late = NewProfile("c-3", ProfileSource(SOURCE, NOW, "v"), {"rfm": "new"})
    assert ledger.people.replace([late]) == 0, "a run that began before does not bring her back"


def test_every_prediction_has_a_meaning() -> None:
    assert set(predicted_values()) == set(COLUMNS) - {"customer_id"}


def test_the_report_is_one_file_that_asks_nobody_and_names_nobody(scored: Home, tmp_path: Path) -> None:
    done(scored, "report", "customers", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "Not enough data" in page
    assert "Who is who?" in page
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", "")
    assert not any(f"c-{n}" in page for n in range(1, 9))


RULE = 'churn > 0.7 && rfm == "champions"'
REMOVAL = '\n[guardrails.rules.spared]\nwhen = \'churn > 0.7 && rfm == "champions"\'\noffers = ["discount"]\n'


def predicted(ledger: SqliteLedger, **values: object) -> None:
    known = {name: value for name, value in values.items() if isinstance(value, str | float)}
    ledger.profiles.put([NewProfile("ada", ProfileSource(SOURCE, NOW, "v"), known)])


def with_rule(add: str) -> Programme:
    return only(Group.RANDOM, add=add)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"churn": 0.8, "rfm": "champions"}, None),
        ({"churn": 0.6, "rfm": "champions"}, Reason.RULE_NOT_MET),
        ({"churn": 0.8, "rfm": "new"}, Reason.RULE_NOT_MET),
        ({"churn": 0.6}, Reason.RULE_NOT_MET),
        ({"rfm": "champions"}, Reason.RULE_FAILED),
        ({}, Reason.RULE_NOT_MET),
    ],
)
def test_eligibility_asks_predictions(home: Home, values: dict[str, object], reason: Reason | None) -> None:
    ledger = SqliteLedger.create(home.ledger_path)
    predicted(ledger, **values)
    shop = with_rule(f"\n[eligibility]\nrules = ['{RULE}']\n")
    assert dict(shop.profile) == {"churn": "number", "rfm": "category"}, "what decides is in the context"
    found = decide(asked("d-1", "ada"), serving=Serving(shop, None), ledger=ledger, now=NOW)
    assert (found.reasons[0][0] == reason) if reason else len(found.allowed) > 1
    assert found.context["rfm"] == values.get("rfm")
    if reason is Reason.RULE_FAILED:
        assert "is not known of the customer" in found.reasons[0][1]
    ledger.close()


def test_a_guardrail_rule_takes_away_what_it_names(home: Home) -> None:
    ledger = SqliteLedger.create(home.ledger_path)
    serving = Serving(with_rule(REMOVAL), None)
    before = decide(asked("d-0", "ada"), serving=serving, ledger=ledger, now=NOW)
    assert any(name.startswith("discount@") for name in before.allowed), "what is not known meets no rule"
    predicted(ledger, churn=0.8, rfm="champions")
    found = decide(asked("d-1", "ada"), serving=serving, ledger=ledger, now=NOW)
    gone = {r.action_id for r in found.rejected if r.reason is Reason.REMOVED_BY_RULE}
    assert gone == {name for name in before.allowed if name.startswith("discount@")}
    assert set(found.allowed) == set(before.allowed) - gone
    assert "control" in found.allowed
    ledger.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[eligibility]\nrules = ['chrun > 0.7']", "did you mean 'churn'"),
        ("[eligibility]\nrules = ['rfm == \"champion\"']", "unknown rfm 'champion'; did you mean 'champions'"),
        ("[eligibility]\nrules = ['grid != \"likely-stay\"']", "did you mean 'likely-staying'"),
        ("[eligibility]\nrules = ['churn']", "expected true or false"),
        ("[guardrails.rules.r]\nwhen = 'rmf == \"new\"'", "guardrails.rules.r.when.*did you mean 'rfm'"),
        ("[guardrails.rules.r]\nwhen = 'churn > 0.5'\noffers = ['discuont']", "did you mean 'discount'"),
        ("[guardrails.rules.r]\nwhen = 'churn > 0.5'\nchannels = ['emial']", "did you mean 'email'"),
        ("[guardrails.rules.r]\noffers = ['discount']", "guardrails.rules.r.when"),
        ("[guardrails.rules.r]\nwhen = 'churn > 0.5'\noffer = ['discount']", "offer"),
        ("[eligibility]\nrules = ['churn > 0.5']\n[features.churn]\ntype = 'number'", "which the profile has too"),
    ],
)
def test_check_says_what_was_meant(text: str, found: str) -> None:
    with pytest.raises(InvalidProgramme, match=found):
        with_rule(f"\n{text}\n")


def test_other_files_are_no_order_lines(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"customer_id": ["c"]}), path)
    for file, found in (
        (path, "Expected a column 'order_id'"),
        (home.programme_path, "Expected order lines in Parquet"),
    ):
        wrong = encore(home, "customers", "score", str(tmp_path / "out.parquet"), "--lines", str(file))
        assert (wrong.exit_code, found in wrong.stderr) == (2, True), wrong.output
