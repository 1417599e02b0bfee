"""Environments of their own for peers, in the user's cache: what they need would not go beside what Encore needs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import experiments
from decision.errors import EncoreError

CHECKOUT = Path(experiments.__file__).parent.parent
READY = "ready"
PATIENCE_SECONDS = 900
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


class PeerUnavailable(EncoreError):
    """A peer can't be installed or run here; it is left out, with the reason."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python of its own, with pinned packages. Without any it is the one that this runs in."""

    name: str
    packages: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Return where it is, or will be: other pins or another Python are another folder."""
        key = repr((sys.version_info[:2], self.packages))
        return cache_folder() / f"{self.name}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"

    @property
    def installed(self) -> bool:
        """Return whether its packages are there."""
        return not self.packages or (self.folder / READY).exists()

    def python(self, tell: Callable[[str], None]) -> Path:
        """Return its interpreter, installed on first use. Raises `PeerUnavailable`."""
        if not self.packages:
            return Path(sys.executable)
        interpreter = self.folder / "bin" / "python"
        if not self.installed:
            tell(f"Installing {', '.join(self.packages)} into {self.folder} …")
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            _called([sys.executable, "-m", "venv", str(self.folder)], "make an environment")
            pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--retries", "2", "--timeout", "20"]
            _called([*pip, "--disable-pip-version-check", *self.packages], "install it")
            (self.folder / READY).touch()
        return interpreter


PRODUCT = Environment("encore")
ECONML = Environment(
    "econml", ("econml==0.17.0", "numpy==2.4.6", "scipy==1.17.1", "scikit-learn==1.9.1", "lightgbm==4.7.0")
)
BANDITS = Environment("bandits", ("vowpalwabbit==9.11.9", "mabwiser==2.7.4", "numpy==2.4.6", "scikit-learn==1.9.1"))


def cache_folder() -> Path:
    """Return the benchmark's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "encore-bench"


def run_module(interpreter: Path, module: str, arguments: Sequence[str]) -> None:
    """Run a module of the checkout in another interpreter, with one thread. Raises `PeerUnavailable` with its error."""
    _called([str(interpreter), "-m", module, *arguments], "run")


def _called(command: list[str], purpose: str) -> None:
    # PYTHONPATH would bring this environment's packages along; the working folder brings the checkout and no more.
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command,
            cwd=CHECKOUT,
            env={**environment, **ONE_THREAD},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PeerUnavailable(f"Expected to {purpose} within {PATIENCE_SECONDS} s, it took longer.") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise PeerUnavailable(f"Expected to {purpose}, it failed: {said[-1][:300]}")
