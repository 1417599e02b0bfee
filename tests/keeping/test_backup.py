"""Backups are taken from a server that writes, and a restored folder serves."""

import io
import tarfile
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from decision.cli import main
from decision.flow.promotion import champion_version, promote
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home
from tests import support
from tests.api.test_real_server import serving
from tests.support import NOW, PROGRAMME, decided


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "shop")
    home.root.mkdir()
    home.programme_path.write_text(PROGRAMME)
    bundle = support.write_bundle(home.bundles)
    ledger = home.ledger()
    promote(
        bundle.version,
        programme=home.programme(),
        bundles=home.bundles,
        ledger=ledger,
        reason="first",
        verdict=(),
        now=NOW,
    )
    ledger.close()
    return home


def encore(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(root), *arguments])


def question(decision_id: str) -> dict[str, object]:
    order = {"order_id": f"o-{decision_id}", "total": {"amount": "59.90", "currency": "EUR"}, "item_count": 1}
    return {"decision_id": decision_id, "customer_id": f"c-{decision_id}", "trigger": "purchase", "order": order}


def test_a_backup_in_the_middle_of_writing_holds_what_was_acknowledged_and_serves(home: Home, tmp_path: Path) -> None:
    stop, known = threading.Event(), list[str]()
    with serving(home) as server:

        def load(name: int) -> None:
            n = 0
            while not stop.is_set():
                server.call("/v1/decisions", question(f"{name}-{n}"))
                known.append(f"{name}-{n}")
                n += 1

        threads = [threading.Thread(target=load, args=(name,), daemon=True) for name in range(4)]
        try:
            for thread in threads:
                thread.start()
            while len(known) < 40:
                stop.wait(0.01)
            before = list(known)
            done = encore(home.root, "backup", str(tmp_path / "a.tar"))
            forgotten = encore(home.root, "forget", f"c-{before[0]}")
            refused = encore(home.root, "restore", str(tmp_path / "a.tar"), "--replace")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert (done.exit_code, forgotten.exit_code) == (0, 0), (done.output, forgotten.output)
    assert (refused.exit_code, "found its ledger open" in refused.stderr) == (2, True)
    restored = Home(tmp_path / "elsewhere" / "shop")
    done = encore(restored.root, "restore", str(tmp_path / "a.tar"))
    assert done.exit_code == 0, done.output
    ledger = restored.ledger()
    assert all(ledger.decision(decision_id) for decision_id in before)
    assert champion_version(ledger) == champion_version(home.ledger())
    ledger.close()
    with serving(restored) as again:
        assert again.call("/v1/policy")["policy_version"] != "none"
        assert again.call("/v1/decisions", question("new"))["recorded"]


def test_content_is_put_aside_only_when_asked_to(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    assert encore(home.root, "backup", str(file)).exit_code == 0
    assert encore(home.root, "backup", str(file)).exit_code == 2
    (home.root / "note").write_text("mine")
    refused = encore(home.root, "restore", str(file))
    assert (refused.exit_code, "--replace" in refused.stderr) == (2, True)
    done = encore(home.root, "restore", str(file), "--replace")
    assert done.exit_code == 0, done.output
    (aside,) = tmp_path.glob("shop.before-*")
    assert (aside / "note").read_text() == "mine"
    assert not (home.root / "note").exists()
    assert home.ledger().promotions()


def altered(file: Path, change: str) -> None:
    with tarfile.open(file) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar.getmembers()]  # type: ignore[union-attr]
    with tarfile.open(file, "w") as tar:
        for name, whole in members:
            if change == "missing" and name == "programme.toml":
                continue
            flip = change == "changed" and name == "ledger.db"
            data = whole[:-1] + bytes([whole[-1] ^ 1]) if flip else whole
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        if change == "climbing":
            tar.addfile(tarfile.TarInfo("../evil"))


@pytest.mark.parametrize("change", ["missing", "changed", "climbing", "truncated"])
def test_an_altered_backup_is_refused_and_leaves_nothing(home: Home, tmp_path: Path, change: str) -> None:
    file, target = tmp_path / "a.tar", tmp_path / "into" / "shop"
    assert encore(home.root, "backup", str(file)).exit_code == 0
    if change == "truncated":
        file.write_bytes(file.read_bytes()[:-20_000])
    else:
        altered(file, change)
    done = encore(target, "restore", str(file))
    assert (done.exit_code, done.stderr.startswith("encore: Expected")) == (2, True), done.output
    assert list(target.parent.iterdir()) == []


def test_a_backup_holds_no_half_of_a_transaction(tmp_path: Path) -> None:
    from decision.ledger.backup import copy, verify

    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    ledger.record_decision(decided(), (), seen_version=0)
    seen: list[tuple[int, int]] = []
    copy(tmp_path / "ledger.db", tmp_path / "copy.db", progress=lambda *at: seen.append(at))
    verify(tmp_path / "copy.db")
    assert seen[-1][0] == seen[-1][1] > 0
    assert SqliteLedger(tmp_path / "copy.db").decision("d-1") == decided()
    ledger.close()
