"""`encore keys …` and `encore audit`: a key is shown once, and every act has somebody's name."""

import os
import pwd
import re
from pathlib import Path

import pytest

from decision import wiring
from decision.flow.promotion import promote
from decision.ledger import migrations, sqlite
from decision.ledger.sqlite import SqliteLedger
from decision.stages.keys import Keyring, Role
from decision.wiring import Home, system_user
from tests import support
from tests.api.test_cli import encore
from tests.support import NOW

ME = pwd.getpwuid(os.getuid()).pw_name
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def created(home: Home, name: str = "till", role: str = "checkout") -> str:
    done = encore(home, "keys", "create", name, "--role", role)
    assert done.exit_code == 0, done.output
    return done.stdout.removesuffix("\n")


def test_a_key_is_printed_alone_and_opens(home: Home) -> None:
    text = created(home)
    assert "\n" not in text
    key = Keyring(home.ledger().api_keys()).find(text)
    assert key is not None
    assert (key.name, key.role) == ("till", Role.CHECKOUT)


def test_the_list_shows_everything_but_secrets(home: Home) -> None:
    texts = [created(home), created(home, "Anna Ö", "analyst")]
    first = texts[0][7:15]
    assert encore(home, "keys", "revoke", first).output == f"{first} (till) is revoked.\n"
    assert encore(home, "keys", "revoke", first).output == f"{first} (till) was revoked before.\n"
    listed = encore(home, "keys", "list").output
    one, other = listed.splitlines()
    assert re.fullmatch(rf"{first}  checkout  created {TIME}  revoked {TIME}  till", one)
    assert re.fullmatch(rf"{texts[1][7:15]}  analyst   created {TIME}  valid {{24}}Anna Ö", other)
    kept = home.ledger().api_keys()
    for secret in (*(text[16:] for text in texts), *(key.sha256 for key in kept)):
        assert secret not in listed
    ring = Keyring(kept)
    assert (ring.find(texts[0]), ring.find(texts[1]) is not None) == (None, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "till"], "Missing option '--role'"),
        (["create", "till", "--role", "king"], "'king' is not one of 'checkout', 'analyst', 'marketer', 'admin'"),
        (["create", "a\nb", "--role", "admin"], "Expected a name of 1 to 100 printable characters"),
        (["revoke", "abcdefgh"], "Expected the id of a key, found 'abcdefgh'. `encore keys list` shows them."),
    ],
)
def test_what_cannot_be_done_is_a_sentence(home: Home, arguments: list[str], sentence: str) -> None:
    home.ledger()
    done = encore(home, "keys", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert home.ledger().acts() == []


@pytest.mark.parametrize(
    "arguments", [["keys", "create", "x", "--role", "admin"], ["keys", "list"], ["keys", "revoke", "x"], ["audit"]]
)
def test_a_wrong_folder_is_not_filled(tmp_path: Path, arguments: list[str]) -> None:
    done = encore(tmp_path / "nothing", *arguments)
    assert (done.exit_code, "init`" in done.stderr) == (2, True)
    assert not (tmp_path / "nothing").exists()


def test_the_audit_log_names_who_did_what(home: Home) -> None:
    text = created(home)
    ledger = home.ledger()
    bundle = support.write_bundle(home.bundles)
    promote(
        bundle.version,
        programme=home.programme(),
        bundles=home.bundles,
        ledger=ledger,
        reason="forced: a hunch",
        verdict=(),
        now=NOW,
        actor="anna",
    )
    assert encore(home, "rollback", "--reason", "returns rose,\na\t\x1blot").exit_code == 0
    encore(home, "keys", "revoke", text[7:15])
    lines = encore(home, "audit").output.splitlines()
    key = f"key={text[7:15]}  name=till  role=checkout"
    assert [re.sub(f"^{TIME}  ", "", line) for line in lines] == [
        f"{ME}  key created  {key}",
        f"anna  promote  bundle={bundle.version}  reason=forced: a hunch",
        f"{ME}  rollback  bundle=business_as_usual  reason=returns rose, a  lot",
        f"{ME}  key revoked  {key}",
    ]
    assert text[16:] not in "".join(lines)


def test_an_upgrade_is_an_act_where_it_changed_something(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as then:
        for room in (migrations, sqlite):
            then.setattr(room, "STEPS", migrations.STEPS[:3])
        SqliteLedger.create(home.ledger_path).close()
    for _ in range(2):
        assert encore(home, "upgrade").exit_code == 0
    (act,) = home.ledger().acts()
    assert (act.actor, act.act) == (ME, "upgrade")
    assert "keys_and_audit" in act.detail["steps"]


def test_the_environment_does_not_say_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody else")
    assert system_user() == ME
    monkeypatch.setattr(wiring.os, "getuid", lambda: 3_999_999_999)
    assert system_user() == "uid 3999999999"


def test_a_server_without_keys_says_how_to_make_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decision.server.run", lambda *_, **__: None)
    done = encore(home, "serve", "--port", "18080")
    assert f"encore --home {home.root} keys create NAME --role checkout" in done.output.splitlines()[-1]
    created(home)
    assert "keys create" not in encore(home, "serve", "--port", "18080").output
