"""An admin sees what is held about a customer, and has her forgotten."""

from flask.testing import FlaskClient

from decision.flow.deliver import collect
from decision.stages.delivery import Endpoint
from decision.wiring import Shop
from tests.api.test_api_decisions import question
from tests.support import NOW


def test_export_then_forget(client: FlaskClient, shop: Shop) -> None:
    endpoint = Endpoint("mailer", "https://localhost/x", ("email",), NOW)
    shop.ledger.outbox.add(endpoint, actor="tester")
    asked = question(decision_id="d-1", customer_id="anna-unique", trigger="return", consent={"email": True})
    assert client.post("/v1/decisions", json=asked).get_json()["action"]["channel"] == "email"
    collect(endpoint, ledger=shop.ledger, now=NOW)
    held = client.get("/v1/customers/anna-unique/export")
    assert [d["decision_id"] for d in held.get_json()["decisions"]] == ["d-1"]
    assert [(one["endpoint"], one["state"]) for one in held.get_json()["deliveries"]] == [("mailer", "waiting")]
    done = client.delete("/v1/customers/anna-unique")
    assert (done.status_code, done.get_json()) == (200, {"decisions": 1, "events": 0})
    assert client.get("/v1/customers/anna-unique/export").status_code == 404
    assert client.delete("/v1/customers/anna-unique").status_code == 404
    for file in shop.home.root.glob("ledger.db*"):
        assert b"anna-unique" not in file.read_bytes()
    act = shop.ledger.acts()[-1]
    assert (act.act, act.actor, "anna" in str(act)) == ("customer forgotten", "key test", False)
