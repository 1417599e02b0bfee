"""Every past schema comes up to today's with the same decisions, rewards, budgets and totals."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from decision.cli import main
from decision.errors import LedgerError
from decision.ledger.backup import verify
from decision.ledger.migrations import STEPS, applied, migrate
from decision.ledger.sqlite import SqliteLedger
from tests.keeping.golden import as_of, story

PAST = STEPS[:-1]
# The time of a first order is not in ledgers that are older than its step.
LOST = ("first_order_at",)
KILLED = """
import os, signal, sys
from pathlib import Path
from decision.ledger import migrations

step = sys.argv[2]
real = getattr(migrations, step)

def fatal(db):
    real(db)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(migrations, step, fatal)
migrations.migrate(Path(sys.argv[1]))
"""


def told(path: Path) -> dict[str, Any]:
    ledger = SqliteLedger(path)
    held = {
        "decisions": [ledger.decision(f"d-{n}") for n in range(20)],
        "rewards": [{k: v for k, v in r.items() if k not in LOST} for r in ledger.rows("rewards")],
        "used": ledger.used(["b|programme"]),
        "customers": [ledger.customer(f"c-{n}") for n in range(10)],
    }
    ledger.close()
    return held


@pytest.fixture
def today(tmp_path: Path) -> dict[str, Any]:
    story(tmp_path / "today.db")
    return told(tmp_path / "today.db")


@pytest.mark.parametrize("last", PAST)
def test_a_past_ledger_is_migrated_in_place(last: str, today: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    as_of(path, last)
    with pytest.raises(LedgerError, match="encore upgrade"):
        SqliteLedger(path)
    SqliteLedger.create(path).close()
    verify(path)
    assert told(path) == today


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_migration_that_is_killed_is_made_the_next_time(step: str, today: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    as_of(path, STEPS[0])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), step], check=False)
    assert killed.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(path)) as ledger:
        assert step not in applied(ledger)
    migrate(path)
    verify(path)
    assert told(path) == today


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    story(path)
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("UPDATE _sqlite_migrations SET name = 'm999_of_tomorrow' WHERE name = ?", [STEPS[-1]])
        ledger.commit()
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    for attempt in (SqliteLedger, SqliteLedger.create, verify):
        with pytest.raises(LedgerError, match=r"m999_of_tomorrow.*newer Encore: upgrade this one"):
            attempt(path)
    assert path.read_bytes() == before


def test_an_upgrade_keeps_the_ledger_of_before(tmp_path: Path) -> None:
    as_of(tmp_path / "ledger.db", STEPS[0])
    done = CliRunner().invoke(main, ["--home", str(tmp_path), "upgrade"])
    (kept,) = tmp_path.glob("ledger.before-*.db")
    assert done.output.startswith(f"{len(STEPS) - 1} steps to make; the ledger of before is kept in {kept}.\n")
    with closing(sqlite3.connect(kept)) as ledger:
        assert applied(ledger) == [STEPS[0]]
    assert kept.stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(main, ["--home", str(tmp_path), "upgrade"])
    assert (again.exit_code, len(list(tmp_path.glob("ledger.before-*")))) == (0, 1)
