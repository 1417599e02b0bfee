"""The service is light, and importing a module does nothing."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import decision

ROOT = Path(decision.__file__).parent
HEAVY = (
    "causalml",
    "mlflow",
    "sklearn",
    "pandas",
    "pyarrow",
    "scipy",
    "matplotlib",
    "lightgbm",
    "ibis",
    "duckdb",
    "experiments",
)
MODULES = sorted(m.name for m in pkgutil.walk_packages([str(ROOT)], "decision.") if not m.name.endswith("__main__"))


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_api_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, decision.api.app; print([m for m in {HEAVY} if m in sys.modules])"
    assert run(code, tmp_path).strip() == "[]"


def test_a_server_decides_without_anything_heavy(tmp_path: Path) -> None:
    """Also after the first request: an import inside a function would be paid by a customer."""
    code = f"""
import sys
from pathlib import Path
from decision.api.app import create_app
from decision.flow.keys import create_key
from decision.programme.template import write_template
from decision.stages.keys import Role
from decision.wiring import Home, Shop, utc_now
home = Home(Path("."))
write_template(home.programme_path)
key = create_key("till", role=Role.CHECKOUT, ledger=home.ledger(), actor="tester", now=utc_now())
loaded = set(sys.modules)
app = create_app(Shop(home)).test_client()
order = {{"order_id": "o", "total": {{"amount": "9", "currency": "EUR"}}}}
body = {{"customer_id": "c", "trigger": "purchase", "order": order}}
headers = {{"Authorization": f"Bearer {{key}}"}}
assert app.post("/v1/decisions", json=body, headers=headers).get_json()["recorded"]
print([m for m in {HEAVY} if m in sys.modules and m not in loaded])
"""
    assert run(code, tmp_path).strip() == "[]"


def test_importing_every_module_does_nothing(tmp_path: Path) -> None:
    code = f"""
import importlib, threading
for name in {MODULES}:
    importlib.import_module(name)
print(threading.active_count())
"""
    assert run(code, tmp_path).strip() == "1"
    assert list(tmp_path.iterdir()) == []
    assert len(MODULES) > 40


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_of_the_service_imports_the_offline_rooms(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & set(HEAVY)


def test_the_policies_and_stages_know_no_room_outside_theirs() -> None:
    """Pure rooms: no clock, no store, no web."""
    effects = {
        "decision.ledger",
        "decision.api",
        "decision.flow",
        "decision.wiring",
        "flask",
        "sqlite3",
        "time",
        "random",
    }
    for room in ("policies", "stages", "programme", "bundle"):
        for path in (ROOT / room).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for name in names:
                    assert not any(name == e or name.startswith(f"{e}.") for e in effects), (path.name, name)
            assert ".now(" not in path.read_text()
