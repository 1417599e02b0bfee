from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from decision.errors import InvalidBundle, InvalidInput, NotEnoughData, NotFound
from experiments.behaviour import certainty, evaluation, metrics, models, store
from experiments.behaviour.base_figures import by_segment
from experiments.behaviour.channel import best_channels, channel_response
from experiments.behaviour.engagement import Engagement, engagement
from experiments.behaviour.journal import Journal, day_of, journal_of
from experiments.behaviour.metrics import auc, log_loss, median_absolute
from experiments.behaviour.models import Models, Settings, fit, score
from experiments.behaviour.predictions import SCHEMA
from experiments.behaviour.repurchase import fit_repurchase
from experiments.behaviour.state import first_purchase_after, state_at
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History, Rows
from tests.behaviour.shops import OPENED, history, shop, two_rhythms

ZERO = day_of(OPENED.date())
SETTINGS = Settings(seed=1, margin=0.4)
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail" / "online_retail.parquet"


@pytest.fixture(scope="module")
def fitted() -> tuple[History, Models]:
    """A shop of 500 customers over 260 days, fitted with few replicates."""
    told = shop(500, 260, seed=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certainty, "REPLICATES", 2)
        patch.setattr(models, "ORIGINS", (90,))
        return told, fit(told, ZERO + 220, SETTINGS)


def test_probabilities_rise_with_the_horizon_and_lie_inside_their_intervals(fitted):
    told, made = fitted
    table = score(made, told).table
    assert table.schema == SCHEMA
    p30, p60, p90 = (table[f"repurchase_{d}"].to_numpy() for d in (30, 60, 90))
    assert ((p30 <= p60) & (p60 <= p90) & (p30 > 0) & (p90 < 1)).all()
    low, high = table["repurchase_90_low"].to_numpy(), table["repurchase_90_high"].to_numpy()
    assert ((low < p90) & (p90 < high)).all()
    assert (table["clv_low"].to_numpy() <= table["clv_high"].to_numpy()).all()
    expected, latest = table["next_purchase"].to_numpy(), table["next_purchase_high"].to_numpy()
    assert (expected >= np.datetime64(made_on(made))).all()
    assert (expected <= latest).all()


def made_on(made: Models) -> str:
    return (datetime(1970, 1, 1) + timedelta(days=made.cut)).date().isoformat()


def test_what_happens_after_the_cut_changes_no_prediction(fitted):
    told, made = fitted
    later = pa.compute.greater_equal(told.order_lines["at"], models.moment(made.cut, SETTINGS))
    assert pa.compute.sum(later).as_py() > 0
    before = replace(told, order_lines=told.order_lines.filter(pa.compute.invert(later)))
    assert score(made, told).table.equals(score(made, before).table)
    assert fit_repurchase(_journal(told), made.cut, seed=1).linear.weights.tolist() == (
        fit_repurchase(_journal(before), made.cut, seed=1).linear.weights.tolist()
    )


def _journal(told: History) -> Journal:
    return journal_of(told.order_lines)


def test_models_come_back_from_files_as_they_were_and_altered_ones_are_refused(fitted, tmp_path):
    told, made = fitted
    kept = store.write(made, tmp_path)
    assert score(kept, told).table.equals(score(made, told).table)
    assert store.newest(tmp_path).version == kept.version == store.write(made, tmp_path).version
    assert kept.version.startswith("202508")
    json = tmp_path / kept.version / store.JSON
    json.write_bytes(json.read_bytes().replace(b'"seed":1', b'"seed":2'))
    with pytest.raises(InvalidBundle, match="altered"):
        store.read(tmp_path, kept.version)
    with pytest.raises(NotFound, match="encore customers train"):
        store.newest(tmp_path / "nowhere")


def test_one_customer_can_be_asked_for(fitted):
    told, made = fitted
    found = score(made, told)
    row = found.of("c0001")
    assert row["as_of"] == found.as_of
    assert 0 < row["repurchase_90"] < 1
    with pytest.raises(NotFound, match="nobody"):
        found.of("nobody")


def test_silence_is_judged_by_a_customers_own_rhythm():
    told = two_rhythms(500, 540, seed=2)
    cut = ZERO + 540
    journal = journal_of(told.order_lines)
    model = fit_repurchase(journal, cut, seed=1)
    state = state_at(journal, cut)
    names = np.array(journal.names)[state.customer]
    machine = np.char.startswith(names, "machine")
    churn = 1.0 - model.curve(state).within(models.churn_days(state, 365.0))
    quiet = (state.silence > 75) & (state.silence < 110) & (state.purchases > 1)
    # Three months of silence are nothing for a machine and everything for a filter.
    assert churn[quiet & machine].mean() < 0.4
    assert churn[quiet & ~machine].mean() > 0.6


def test_predictions_of_a_known_shop_are_good_out_of_sample(fitted):
    told, made = fitted
    journal = journal_of(told.order_lines)
    state = state_at(journal, made.cut)
    came = (first_purchase_after(journal, state) < 30).astype(float)
    chance = made.repurchase.curve(state).within(30.0)
    assert auc(came, chance) > 0.7
    assert log_loss(came, chance) < log_loss(came, np.full(len(came), came.mean()))
    assert abs(chance.mean() - came.mean()) < 0.06


@pytest.mark.parametrize("purchases", [[("ada", 3, 10.0)], [(f"c{n}", n % 300, 5.0) for n in range(900)]])
def test_too_little_data_is_an_answer_with_a_rule(purchases):
    told = history(purchases, returns=[("eve", 2, 3.0)])
    made = fit(told, ZERO + 301, SETTINGS)
    found = score(made, told)
    assert made.repurchase is None
    assert found.table["repurchase_90"].null_count == found.table.num_rows > 0
    assert found.table["clv"].null_count == 0
    assert set(found.table["grid"].to_pylist()) <= {"likely-staying", "unlikely-leaving"}
    assert "customers who bought again" in found.rules()["repurchase, churn and next purchase"]
    assert "twice her usual gap" in found.rules()["repurchase, churn and next purchase"]


def test_the_value_is_margin_after_returns():
    bought = [("kept", 0, 100.0), ("sent", 0, 100.0)]
    found = score(fit(history(bought), ZERO + 91, SETTINGS), history(bought, returns=[("sent", 5, 60.0)])).table
    value = dict(zip(found["customer_id"].to_pylist(), found["clv"].to_pylist(), strict=True))
    assert value["kept"] == pytest.approx(100.0 / 91 * 365 * 0.4)
    assert value["sent"] == pytest.approx(0.4 * value["kept"])


def test_engagement_is_the_shops_own_points_halved_with_time():
    told = history([("ada", 0, 10.0), ("bob", 60, 10.0)])
    tables = {"order_lines": told.order_lines, "contacts": told.contacts, "visits": told.visits}
    asked = Engagement({"purchase": 8.0}, half_life_days=60.0)
    points = engagement(tables, ("ada", "bob"), asked, as_of=OPENED + timedelta(days=60, seconds=1))
    assert points == pytest.approx([4.0, 8.0], rel=1e-3)
    with pytest.raises(InvalidInput, match="likes"):
        Engagement({"likes": 1.0})


def test_the_best_channel_needs_more_than_one_answer():
    contacts = Rows(CONTACTS)
    for n in range(400):
        channel, bought = ("email", n % 10 == 0) if n % 2 else ("sms", n % 4 == 0)
        at = OPENED + timedelta(hours=n)
        contacts.add(f"c{n}", at, "a", "o", channel, f"d{n}", None, None, at if bought else None)
    for n in range(30):
        at = OPENED + timedelta(hours=n)
        contacts.add("fan", at, "a", "o", "email", f"f{n}", None, None, at)
    table = contacts.table()
    response, verdict = channel_response(table)
    assert verdict.enough
    assert response.rate[response.channels.index("sms")] == pytest.approx(0.5)
    best, rates = best_channels(table, ("fan", "c1", "stranger"), response)
    assert best == ["email", "sms", "sms"]
    assert rates[0] > 0.7
    assert channel_response(table.slice(0, 10))[0] is None


def test_the_next_category_follows_what_others_bought_after_the_same():
    lines = Rows(ORDER_LINES)
    for n in range(150):
        for step, kind in enumerate(("machine", "beans")):
            at = OPENED + timedelta(days=10 * step)
            lines.add(f"c{n}", f"o{n}-{step}", at, kind, None, kind, 1, 9.0, 0.0, None, False)
    lines.add("new", "last", OPENED + timedelta(days=20), "machine", None, "machine", 1, 9.0, 0.0, None, False)
    told = History(lines.table(), Rows(CONTACTS).table(), Rows(VISITS).table())
    found = score(fit(told, ZERO + 30, SETTINGS), told)
    assert found.of("new")["next_category"] == "beans"


@pytest.mark.skipif(not DATA.exists(), reason="needs the Online Retail data set beside the checkout")
def test_online_retail_reaches_the_bars_of_its_protocol_in_summer():
    journal = online_retail()
    cut = day_of(datetime(2011, 6, 13, tzinfo=UTC).date())
    state = state_at(journal, cut)
    assert len(state.customer) == 2818
    model = fit_repurchase(journal, cut, seed=1)
    curve = model.curve(state)
    wait = first_purchase_after(journal, state)
    came = (wait < 90).astype(float)
    assert auc(came, curve.within(90.0)) >= 0.760
    assert log_loss(came, curve.within(90.0)) <= 0.584
    who = came > 0.5
    days = curve.day_of(models.WHEN, horizon=90.0)[who]
    assert median_absolute(wait[who] + 0.5, days) <= 16.2


def online_retail() -> Journal:
    import pandas as pd

    table = pd.read_parquet(DATA)
    table = table[table.CustomerID.notna()]
    fees = r"(?:POST|DOT|C2|M|D|S|B|BANK CHARGES|AMAZONFEE|CRUK|PADS|gift_.*)"
    table = table[~table.StockCode.astype(str).str.fullmatch(fees, case=False)]
    n, at = len(table), table.InvoiceDate.dt.tz_localize("Europe/London")
    lines = pa.table(
        {
            "customer_id": pa.array(table.CustomerID.astype(int).astype(str)),
            "order_id": pa.array(table.InvoiceNo.astype(str)),
            "at": pa.array(at.dt.tz_convert(None).to_numpy(), pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            "product": pa.array(table.StockCode.astype(str)),
            "quantity": pa.array(table.Quantity.abs()),
            "amount": pa.array(table.Quantity * table.UnitPrice),
            "margin": pa.nulls(n, pa.float64()),
            "is_return": pa.array(table.InvoiceNo.astype(str).str.startswith("C")),
        }
    )
    return journal_of(lines, timezone="Europe/London")


def test_figures_by_segment_are_means_of_the_customers_in_it(fitted):
    told, made = fitted
    found = score(made, told)
    figures = by_segment(journal_of(told.order_lines), found, made.cut)
    segments = np.array(found.table["rfm"].to_pylist())
    clv = found.table["clv"].to_numpy()
    assert (
        sum(one["clv"].n for name, one in figures.items() if name != "all") == len(segments) == figures["all"]["clv"].n
    )
    loyal = figures["loyal"]["clv"]
    assert loyal.mean == pytest.approx(clv[segments == "loyal"].mean())
    assert loyal.low < loyal.mean < loyal.high
    assert figures["hibernating"]["return_rate"].mean == 0.0


def test_an_evaluation_sees_nothing_of_what_it_is_judged_by_and_says_which_rule_it_beats(fitted, monkeypatch):
    told, made = fitted
    monkeypatch.setattr(evaluation, "fit", lambda *_, **__: made)
    monkeypatch.setattr(metrics, "REPLICATES", 20)
    found = evaluation.evaluate(told, made.cut, SETTINGS)
    assert found.days_after == 40
    lines = {(line.what, line.metric, line.rule): line.found for line in found.lines}
    better = lines["buys in 30 days", "AUC", "silent > 2 gaps"]
    assert better.low <= better.difference <= better.high
    assert better.model - better.rule == pytest.approx(better.difference)
    assert ("buys in 60 days", "AUC", "RFM score") not in lines
    assert 0.6 < found.coverage["next purchase date, of those who bought"] < 0.95
    assert any("RFM score" in row for row in evaluation.table(found.lines))
    with pytest.raises(NotEnoughData, match="earlier --cut"):
        evaluation.evaluate(told, made.cut + 20, SETTINGS)
