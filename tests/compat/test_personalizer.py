"""Azure AI Personalizer's own client, pointed at a real server."""

import json
import re
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import ErrorResponseException, RankableAction, RankRequest
from click.testing import CliRunner
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from msrest.authentication import CognitiveServicesCredentials
from msrest.exceptions import HttpOperationError

from decision.cli import main
from decision.errors import InvalidProgramme
from decision.flow.rank import RankRequest as RankRequest_
from decision.flow.rank import learn_ranks, rank
from decision.ledger.sqlite import SqliteLedger
from decision.policies.hashed import RankModel, design
from decision.programme.model import RankSettings
from decision.programme.read import parse_programme
from decision.stages.choice import draw_for
from decision.stages.keys import Role
from decision.stages.ranking import RankAction, RankedEvent, Told, chances, drawn, facts, settled
from decision.wiring import Home, Shop, utc_now
from tests import support
from tests.api.test_real_server import Server, serving
from tests.support import NOW, SECOND

PAGE = Path(__file__).parents[2] / "docs" / "personalizer.md"
LATER = timedelta(minutes=11)
USUAL = RankSettings()
GOLDEN = [(68, -1.0), (116, 1.0), (197, 1.0), (320, 1.0), (378, 1.0), (489, -1.0)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("personalizer"))
    home.programme_path.write_text(support.PROGRAMME)
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with serving(home) as server:
        yield server


@pytest.fixture(scope="module")
def ledger(home: Home, server: Server) -> Iterator[SqliteLedger]:
    ledger = home.ledger()
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def client(server: Server) -> PersonalizerClient:
    return client_for(server, server.key)


def client_for(server: Server, key: str) -> PersonalizerClient:
    client = PersonalizerClient(f"http://127.0.0.1:{server.port}", CognitiveServicesCredentials(key))
    client.config.retry_policy.policy.total = 0
    return client


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else [1]


def asked(event_id: str | None, *names: str, **changes: Any) -> RankRequest:
    actions = [RankableAction(id=name, features=[{"name": name}]) for name in names or ("tea", "coffee", "milk")]
    return RankRequest(actions=actions, event_id=event_id, context_features=[{"time": "morning"}], **changes)


def test_the_first_action_is_the_baseline_and_probabilities_are_those_it_was_drawn_with(
    client: PersonalizerClient, ledger: SqliteLedger
) -> None:
    drawn = []
    for n in range(60):
        answer = client.rank(asked(f"drawn-{n}"))
        chances = {one.id: one.probability for one in answer.ranking}
        assert chances == pytest.approx({"tea": 0.8 + 0.2 / 3, "coffee": 0.2 / 3, "milk": 0.2 / 3})
        assert answer.ranking[0].id == answer.reward_action_id
        event = ledger.ranks.event(answer.event_id)
        assert event is not None
        assert event.probabilities == tuple(chances[action.action_id] for action in event.actions)
        drawn.append(answer.reward_action_id)
    assert 40 <= drawn.count("tea") < 60


def test_the_same_event_gives_the_same_ranking(client: PersonalizerClient) -> None:
    first = client.rank(asked("again"))
    assert client.rank(asked("again")).as_dict() == first.as_dict()
    with pytest.raises(ErrorResponseException) as refused:
        client.rank(asked("again", "tea"))
    assert refused.value.response.status_code == 400
    assert refused.value.error.error.code == "BadRequest"
    assert "another" in refused.value.error.error.message


def test_an_event_without_an_id_gets_one(client: PersonalizerClient, ledger: SqliteLedger) -> None:
    one, other = client.rank(asked(None)), client.rank(asked(None))
    assert one.event_id != other.event_id
    assert ledger.ranks.event(one.event_id) is not None


def test_an_excluded_action_keeps_its_place_and_is_never_drawn(client: PersonalizerClient) -> None:
    for n in range(20):
        answer = client.rank(asked(f"excluded-{n}", excluded_actions=["tea", "of no interest"]))
        assert (answer.ranking[0].id, answer.ranking[0].probability) == ("tea", 0.0)
        assert answer.reward_action_id == answer.ranking[1].id
        assert sum(one.probability for one in answer.ranking) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        (RankRequest(actions=[]), "$.actions"),
        (asked("twice", "tea", "tea"), "$.actions[1].id"),
        (asked("none", excluded_actions=["tea", "coffee", "milk"]), "$.excludedActions"),
        (asked("many", *map(str, range(51))), "$.actions"),
        (asked("a/b"), "$.eventId"),
        (RankRequest(actions=[RankableAction(id="a", features=[list(range(201))])]), "$.actions[0].features"),
        (
            RankRequest(actions=[RankableAction(id="a", features=[])], context_features=[{}, 10**400]),
            "$.contextFeatures[1]",
        ),
        (
            RankRequest(actions=[RankableAction(id="a", features=[])], context_features=[nested(20)]),
            "$.contextFeatures[0]",
        ),
    ],
)
def test_a_mistake_is_a_bad_request_with_its_place(
    client: PersonalizerClient, request_: RankRequest, place: str
) -> None:
    with pytest.raises(ErrorResponseException) as refused:
        client.rank(request_)
    error = refused.value.error.error
    assert (refused.value.response.status_code, error.code, error.target) == (400, "BadRequest", place)


def test_a_wrong_key_is_refused(server: Server) -> None:
    with pytest.raises(ErrorResponseException) as refused:
        client_for(server, "encore_wrong").rank(asked("stranger"))
    assert refused.value.response.status_code == 401
    assert "API key" in refused.value.error.error.message


@pytest.mark.parametrize("value", [1.5, -1.5])
def test_a_reward_out_of_range_is_refused(client: PersonalizerClient, value: float) -> None:
    with pytest.raises(HttpOperationError) as refused:
        client.events.reward("drawn-0", value)
    assert refused.value.response.status_code == 400


def test_an_unknown_event_is_counted(client: PersonalizerClient, server: Server) -> None:
    raw = client.events.reward("never ranked", 1.0, raw=True)
    assert raw.response.status_code == 204
    # Each worker counts for itself, and any of them may answer.
    counted = [server.call("/readyz")["faults"].get("personalizer_unknown_event", 0) for _ in range(40)]
    assert max(counted) == 1


def test_what_is_told_in_time_is_the_reward(
    client: PersonalizerClient, ledger: SqliteLedger, server: Server, home: Home
) -> None:
    for name in ("told", "twice", "silent"):
        client.rank(asked(f"r-{name}"))
    for name in ("untouched", "activated", "rewarded"):
        client.rank(asked(f"d-{name}", defer_activation=True))
    client.events.reward("r-told", 0.5)
    client.events.reward("r-twice", 1.0)
    client.events.reward("r-twice", 0.25)
    client.events.activate("d-activated")
    client.events.reward("d-rewarded", 1.0)
    assert learn_ranks(settings=USUAL, ranks=ledger.ranks, now=utc_now()) == 0
    assert learn_ranks(settings=USUAL, ranks=ledger.ranks, now=utc_now() + LATER) > 0
    names = ("r-told", "r-twice", "r-silent", "d-untouched", "d-activated", "d-rewarded")
    assert [ledger.ranks.reward(name) for name in names] == [(0.5,), (1.0,), (0.0,), (None,), (0.0,), (1.0,)]
    assert learn_ranks(settings=USUAL, ranks=ledger.ranks, now=utc_now() + LATER) == 0


def test_it_learns_whom_to_give_what(client: PersonalizerClient, ledger: SqliteLedger) -> None:
    """Mornings like strong, evenings mild, whatever it is called: an action never seen before profits."""

    def ask(n: object, when: str, *names: str) -> Any:
        tastes = {"espresso": "strong", "mocha": "strong", "camomile": "mild", "verbena": "mild"}
        actions = [RankableAction(id=name, features=[{"taste": tastes[name]}]) for name in names]
        return client.rank(RankRequest(actions=actions, context_features=[{"when": when}], event_id=f"taste-{n}"))

    for n in range(150):
        when = "morning" if n % 2 else "evening"
        answer = ask(n, when, *(("espresso", "camomile") if n % 3 else ("camomile", "espresso")))
        liked = answer.reward_action_id == ("espresso" if when == "morning" else "camomile")
        client.events.reward(answer.event_id, 1.0 if liked else 0.0)
    assert learn_ranks(settings=USUAL, ranks=ledger.ranks, now=utc_now() + LATER) >= 150
    until = time.monotonic() + 20.0
    while True:
        found = [ask(f"{when}-{time.monotonic_ns()}", when, "verbena", "mocha") for when in ("morning", "evening")]
        first = [max(one.ranking, key=lambda action: action.probability).id for one in found]
        if first == ["mocha", "verbena"]:
            break
        assert time.monotonic() < until, first
        time.sleep(0.05)


def event(**changes: Any) -> RankedEvent:
    blank: dict[str, Any] = {
        "event_id": "e",
        "ranked_at": NOW,
        "due_at": NOW + 10 * SECOND,
        "deferred": False,
        "fingerprint": "",
        "context": (),
        "actions": (RankAction("a"),),
        "probabilities": (1.0,),
        "chosen": 0,
        "model_version": 0,
    }
    return RankedEvent(**blank | changes)


@pytest.mark.parametrize(("aggregation", "reward"), [("earliest", 0.25), ("latest", 0.5), ("sum", 0.75)])
def test_rewards_are_put_together_as_the_programme_says(aggregation: str, reward: float) -> None:
    settings = RankSettings(default_reward=-0.5, aggregation=aggregation)
    told = [Told(NOW, None), Told(NOW + SECOND, 0.25), Told(NOW + 10 * SECOND, 0.5), Told(NOW + 11 * SECOND, 1.0)]
    assert settled(event(), told, settings) == reward
    assert settled(event(), told[3:], settings) == -0.5
    assert settled(event(deferred=True), told[3:], settings) is None
    assert settled(event(deferred=True), told[:1], settings) == -0.5
    assert settled(event(), [*told[:3], Told(NOW, 0.9)], RankSettings(aggregation="sum")) == 1.0


def test_the_settings_are_those_of_the_page() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert set(tomllib.loads(text)) == {"personalizer"}
    assert parse_programme(support.PROGRAMME + text).ranking == USUAL == support.programme().ranking
    with pytest.raises(InvalidProgramme, match="one of earliest, latest, sum"):
        parse_programme(support.PROGRAMME + text.replace("earliest", "first"))


def test_a_fault_answers_the_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.programme_path.write_text(support.PROGRAMME)
    shop = Shop(home)
    till: FlaskClient = support.client_of(shop, Role.CHECKOUT)

    def broken(*_: object) -> None:
        raise OSError("disk on fire")

    monkeypatch.setattr(type(shop.ledger.ranks), "event", broken)
    body = {"eventId": "e", "actions": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "excludedActions": ["a"]}
    found = till.post("/personalizer/v1.0/rank", json=body)
    assert (found.status_code, found.get_json()["rewardActionId"]) == (201, "b")
    assert [one["probability"] for one in found.get_json()["ranking"]] == [0.0, 1.0, 0.0]
    assert shop.faults == {"OSError": 1}


def test_the_page_works_as_written(server: Server, ledger: SqliteLedger) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    here = code.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}").replace("encore_…", server.key)
    exec(here, {})
    found = ledger.ranks.event("visit-4711")
    assert found is not None
    assert [action.action_id for action in found.actions] == ["tea", "coffee"]


def json_with(integers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )


anything = json_with(st.integers())


@given(features=st.lists(json_with(st.integers(-(2**62), 2**62)), max_size=4))
def test_features_are_finite_numbers_whatever_they_are(features: list[Any]) -> None:
    found = facts(features)
    assert np.isfinite(list(found.values())).all()
    rows = design(features, [RankAction("a", features), RankAction("b"), RankAction("a", features)])
    assert np.isfinite(rows).all()
    assert (rows[0] == rows[2]).all()
    assert (rows[0] != rows[1]).any()


def test_hashes_are_the_same_everywhere() -> None:
    """A model that was learned in one process is used in others, and after upgrades."""
    (row,) = design([{"when": "morning"}], [RankAction("tea", [{"taste": "mild"}])])
    places = np.flatnonzero(row)
    assert list(zip(places.tolist(), row[places].tolist(), strict=True)) == GOLDEN


def test_actions_are_drawn_as_often_as_their_probabilities_say() -> None:
    found = chances(np.array([0.1, 0.7, 0.3, 0.9]), [True, True, True, False], exploration=0.3)
    assert found.tolist() == pytest.approx([0.1, 0.8, 0.1, 0.0])
    draws = [drawn(found, draw=draw_for(f"event-{n}", salt="pepper", attempt=0)) for n in range(20_000)]
    # Four standard errors of the most uncertain share.
    assert np.bincount(draws, minlength=4) / 20_000 == pytest.approx(found, abs=4 * np.sqrt(0.16 / 20_000))


@given(
    scores=st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=50),
    exploration=st.floats(0.0, 1.0),
    data=st.data(),
)
def test_chances_are_a_distribution_over_what_is_allowed(
    scores: list[float], exploration: float, data: st.DataObject
) -> None:
    allowed = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)).filter(any))
    found = chances(np.array(scores), allowed, exploration=exploration)
    assert found.sum() == pytest.approx(1.0)
    assert (found[~np.array(allowed)] == 0.0).all()
    assert (found[np.array(allowed)] >= exploration / sum(allowed) - 1e-12).all()


fields = st.sampled_from(["actions", "contextFeatures", "excludedActions", "eventId", "deferActivation", "more"])
likely = st.sampled_from([[{"id": "a"}, {"id": "b", "features": [{"x": 1e300}, {"y": None}]}], ["a"], "event-7", True])


@given(body=st.dictionaries(fields, likely | anything, max_size=6) | anything)
def test_whatever_is_asked_is_answered(till: FlaskClient, body: Any) -> None:
    found = till.post("/personalizer/v1.0/rank", json=body)
    answer = found.get_json()
    if found.status_code == 201:
        assert sum(one["probability"] for one in answer["ranking"]) == pytest.approx(1.0)
    else:
        assert (found.status_code, answer["error"]["code"]) == (400, "BadRequest")
    assert till.post("/personalizer/v1.0/events/e/reward", json=body).status_code in (204, 400)


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    home = Home(tmp_path_factory.mktemp("till"))
    home.programme_path.write_text(support.PROGRAMME)
    shop = Shop(home)
    yield support.client_of(shop, Role.CHECKOUT)
    assert shop.faults.keys() <= {"personalizer_unknown_event"}


def test_an_event_that_is_asked_for_many_times_at_once_is_ranked_once(server: Server, ledger: SqliteLedger) -> None:
    clients = [client_for(server, server.key) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: clients[n % 8].rank(asked("at-once")).as_dict(), range(40)))
    assert all(one == found[0] for one in found)
    assert [event.event_id for event, _ in ledger.ranks.every()].count("at-once") == 1


def test_the_log_comes_out_again(home: Home, client: PersonalizerClient, ledger: SqliteLedger) -> None:
    client.rank(asked("out", excluded_actions=["milk"]))
    lines = CliRunner().invoke(main, ["--home", str(home.root), "ranks"]).output.splitlines()
    rows = {row["event_id"]: row for row in map(json.loads, lines)}
    assert len(rows) == len(lines) == len(list(ledger.ranks.every()))
    row = rows["out"]
    assert row["probabilities"] == pytest.approx([0.9, 0.1, 0.0])
    assert row["propensity"] == row["probabilities"][["tea", "coffee", "milk"].index(row["chosen"])]
    assert (row["learned"], row["reward"], row["context"]) == (None, None, [{"time": "morning"}])


def test_what_was_acknowledged_outlives_the_servers_death(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.programme_path.write_text(support.PROGRAMME)
    with serving(home) as dying:
        client = client_for(dying, dying.key)
        first = client.rank(asked("before"))
        client.events.reward("before", 1.0)
    with serving(home) as second:
        again = client_for(second, second.key).rank(asked("before"))
    assert again.as_dict() == first.as_dict()
    ledger = home.ledger()
    assert learn_ranks(settings=USUAL, ranks=ledger.ranks, now=utc_now() + LATER) == 1
    assert ledger.ranks.reward("before") == (1.0,)
    ledger.close()


def test_encore_learn_learns_what_is_over_and_a_new_server_knows_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.programme_path.write_text(support.PROGRAMME)
    ledger, then = home.ledger(), utc_now() - timedelta(hours=1)
    request_ = RankRequest_("over", (), (RankAction("a"),), frozenset(), False, "body")
    rank(request_, model=RankModel(), settings=USUAL, salt="pepper", ranks=ledger.ranks, now=then)
    ledger.ranks.tell("over", Told(then + SECOND, 1.0))
    done = CliRunner().invoke(main, ["--home", str(home.root), "learn", "--once"])
    assert (done.exit_code, "learned 1 ranked event\n" in done.output) == (0, True), done.output
    assert Shop(home).rank_model.scores((), [RankAction("a")])[0] > 0.0
    ledger.close()
