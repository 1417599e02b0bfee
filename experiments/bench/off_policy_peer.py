"""Open Bandit Pipeline beside us: installs it apart, and runs it there on a log.

It asks for Python below 3.11 and old pins, so it is installed without its requirements into an environment of its
own, with today's numpy, scipy, pandas and scikit-learn. PyTorch, which only its policy learners use, is left out: an
empty module stands in for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.off_policy import Rounds

VERSION = "0.5.7"
NEEDED = ("numpy", "pandas", "scikit-learn", "scipy", "PyYAML", "tqdm", "matplotlib", "seaborn")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "encore" / f"obp-{VERSION}"
WORKER = Path(__file__).with_name("off_policy_obp.py")
INSTALL_SECONDS = 600
RUN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Peer:
    """A Python that has the peer."""

    python: Path

    def run(self, rounds: Rounds, folder: Path, *, repeats: int, replicates: int) -> dict[str, Any]:
        """Return the peer's value, seconds a value and seconds an interval, by estimator; see `WORKER`.

        Raises
        ------
        CalledProcessError, TimeoutExpired : it failed, or took ten minutes.
        """
        log = folder / "peer.npz"
        assert rounds.q_hat is not None
        np.savez(
            log,
            action=rounds.action,
            reward=rounds.reward,
            pscore=rounds.propensity,
            pi_e=rounds.target,
            q_hat=rounds.q_hat,
        )
        command = [str(self.python), str(WORKER), str(log), str(repeats), str(replicates)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=RUN_SECONDS, env=one_thread())
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def peer() -> tuple[Peer | None, str]:
    """Return the peer, installed if need be, or None, and a sentence about it."""
    python = CACHE / "bin" / "python"
    if not python.exists() or not _works(python):
        try:
            _install(python)
        except (OSError, subprocess.SubprocessError) as error:
            return None, f"obp {VERSION} could not be installed ({error}): only the expected values are compared."
    if not _works(python):
        return None, f"obp {VERSION} is installed and doesn't start: only the expected values are compared."
    return Peer(python), f"obp {VERSION} runs beside us on Python {sys.version_info[0]}.{sys.version_info[1]}."


def one_thread() -> dict[str, str]:
    """Return this process's environment with one thread for each numeric library."""
    return os.environ | {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def _install(python: Path) -> None:
    venv.create(CACHE, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    for words in (NEEDED, ("--no-deps", "--ignore-requires-python", f"obp=={VERSION}")):
        subprocess.run([*pip, *words], check=True, timeout=INSTALL_SECONDS, capture_output=True)


def _works(python: Path) -> bool:
    done = subprocess.run([str(python), str(WORKER)], check=False, capture_output=True)
    return done.returncode == 0
