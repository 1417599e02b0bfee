"""A word withdrawn between two decisions holds for the second, whatever the till says of the channel."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from decision.records import Group
from decision.wiring import Home, Shop
from tests.support import PROGRAMME, client_of, customer_of, programme

USUAL = customer_of(Group.BUSINESS_AS_USUAL, programme())


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    home = Home(tmp_path)
    home.programme_path.write_text(PROGRAMME)
    return client_of(Shop(home))


def given(client: FlaskClient, decision_id: str) -> tuple[str, list[str]]:
    body = {
        "decision_id": decision_id,
        "customer_id": USUAL,
        "trigger": "return",
        "order": {"order_id": decision_id, "total": {"amount": "59.90", "currency": "EUR"}},
        "consent": {"email": True, "sms": True},
    }
    answer = client.post("/v1/decisions", json=body).get_json()
    return answer["action"]["action_id"], [r["code"] for r in answer["rejected"] if r["action_id"] == "shipping@email"]


@pytest.mark.parametrize("by", ["event", "identify"])
def test_a_withdrawn_consent_holds_for_the_next_decision(client: FlaskClient, by: str) -> None:
    assert given(client, "before") == ("shipping@email", [])
    now = datetime.now(UTC).isoformat()
    if by == "event":
        word = {"event": "Unsubscribed", "customer_id": USUAL, "timestamp": now, "properties": {"channel": "email"}}
        told = client.post("/v1/events", json=word)
    else:
        traits = {"consent": {"email": False}}
        told = client.post("/v1/identify", json={"userId": USUAL, "messageId": "m", "timestamp": now, "traits": traits})
    assert told.status_code == 200, told.text
    action, why = given(client, "after")
    assert (action, "no_consent" in why) == ("control", True)
