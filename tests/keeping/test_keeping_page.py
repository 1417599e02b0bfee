"""The commands of docs/keeping.md work as they stand there."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from decision.cli import main
from decision.wiring import Home
from tests.support import PROGRAMME, decided

PAGE = Path(__file__).parents[2] / "docs" / "keeping.md"


def test_every_command_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = Home(Path("shop"))
    home.root.mkdir()
    home.programme_path.write_text(PROGRAMME)
    ledger = home.ledger()
    ledger.record_decision(decided(customer_id="C-1001"), (), seen_version=0)
    ledger.close()
    commands = re.findall(r"^encore (.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        done = CliRunner().invoke(main, shlex.split(command))
        assert done.exit_code == 0, (command, done.output)
    assert Home(Path("restored")).ledger().decision("d-1") == decided(customer_id="C-1001")
