"""Measures the judge: parity and speed beside Open Bandit Pipeline, coverage, the gate, memory.

Run it with `python -m experiments.bench.off_policy`; it takes some ten minutes on two cores, `--quick` two.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from experiments.bench.off_policy_cases import Case
from experiments.bench.off_policy_coverage import CAREFUL, STUDENT, UNBIASED, Covered, coverage
from experiments.bench.off_policy_gate import Promoted, gate
from experiments.bench.off_policy_peer import one_thread, peer
from experiments.bench.off_policy_plots import draw
from experiments.bench.off_policy_speed import Memory, Speed, speed

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "ope_parity"
TOLERANCE, FASTER, COVERED, FALSE, MEMORY_MIB = 1e-9, 5.0, 0.94, 0.05, 2_048
FULL = ({2_000: 400, 10_000: 300, 50_000: 200}, {2_000: 600, 10_000: 600, 50_000: 600}, 10_000_000)
QUICK = ({2_000: 100, 10_000: 60}, {2_000: 150, 10_000: 90}, 1_000_000)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables, write JSON and plots."""
    options = _parser().parse_args(arguments)
    for_coverage, for_gate, rounds = QUICK if options.quick else FULL
    found: dict[str, Any] = {"parity": _parity(options.cases)}
    found["speed"] = _speed()
    found["memory"] = _memory(rounds)
    found["coverage"] = _coverage(coverage(sizes=for_coverage, seed=1))
    found["gate"] = _gate(gate(sizes=for_gate, seed=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "off_policy.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    draw(found["coverage"], found["gate"], options.out)
    print(f"\nwritten to {options.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=CASES, help="folder of parity cases, .npz with .json")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder for JSON and plots")
    parser.add_argument("--quick", action="store_true", help="fewer replicates and rounds")
    return parser


def _parity(folder: Path) -> list[dict[str, Any]]:
    print(f"parity with obp: largest relative error over all estimators of a case (bar {TOLERANCE:g})")
    print(f"{'case':28} {'values':>10} {'intervals':>10} {'choices':>10}   estimators")
    rows = []
    for path in sorted(folder.glob("*.json")):
        by_kind: dict[str, list[float]] = {"value": [], "interval": [], "choice": []}
        for kind, _, error in Case.read(path).errors():
            by_kind[kind].append(error)
        row: dict[str, Any] = {"case": path.stem, "estimators": len(by_kind["value"])}
        row |= {kind: max(errors, default=0.0) for kind, errors in by_kind.items()}
        rows.append(row)
        choice = "same" if row["choice"] == 0 else "differ"
        print(f"{path.stem:28} {row['value']:10.1e} {row['interval']:10.1e} {choice:>10}   {row['estimators']}")
    worst = max((max(row["value"], row["interval"], row["choice"]) for row in rows), default=math.inf)
    print(_bar(f"{len(rows)} cases, worst {worst:.1e}", bool(rows) and worst <= TOLERANCE))
    return rows


def _speed() -> Speed | None:
    beside, sentence = peer()
    print(f"\nspeed on 100,000 rounds x 20 actions, CPU time, arrays read and checked each time: {sentence}")
    if beside is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        found = speed(beside, Path(folder), n=100_000, repeats=9, seed=1)
    print(f"{'':44} {'Encore':>10} {'obp':>10} {'ratio':>7}")
    for label, ours, theirs in (
        (f"values of {found.estimators} estimators", found.ours_seconds, found.peer_seconds),
        ("the same with bootstrap intervals", found.ours_bootstrap_seconds, found.peer_bootstrap_seconds),
        *((f"{name} alone", *seconds) for name, seconds in found.alone.items()),
    ):
        print(f"{label:44} {1e3 * ours:7.1f} ms {1e3 * theirs:7.1f} ms {theirs / ours:6.1f}x")
    print(_bar(f"largest relative error {found.largest_error:.1e}", found.largest_error <= TOLERANCE))
    print(_bar(f"bar {FASTER:g}x, all together", found.peer_seconds >= FASTER * found.ours_seconds))
    slowest = min(found.alone, key=lambda name: found.alone[name][1] / found.alone[name][0])
    ours, theirs = found.alone[slowest]
    print(_bar(f"bar {FASTER:g}x, each alone: {slowest} {theirs / ours:.1f}x", theirs >= FASTER * ours))
    return found


def _memory(rounds: int) -> Memory:
    command = [sys.executable, "-m", "experiments.bench.off_policy_speed", str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, env=one_thread())
    found = msgspec.json.decode(done.stdout, type=Memory)
    print(
        f"\nmemory: {found.rounds:,} rounds x {found.actions} actions in chunks, {found.estimators} estimators", end=""
    )
    print(f", and the gate on {found.customers:,} customers")
    print(
        f"peak {found.peak_mib:,.0f} MiB (of which {found.before_mib:,.0f} before the first chunk), "
        f"{found.valuing_seconds:.1f} s to value and {found.making_seconds:.1f} s to make the log"
    )
    print(_bar(f"bar {MEMORY_MIB:,} MiB", found.peak_mib <= MEMORY_MIB))
    return found


def _coverage(settings: Iterable[Covered]) -> list[Covered]:
    print("\ncoverage of 95 % intervals; `careful` is the default, Student's and empirical Bernstein (EB) are of dr")
    names = " ".join(f"{name:>7.7}" for name in _SHORT)
    head = f"{'shop':14} {'n':>6} {'logger':20} {'target':16} {'refused':>7}"
    print(f"{head} {names} {'Student':>8} {'EB':>6}  replicates")
    rows = []
    for row in settings:
        rows.append(row)
        ours = " ".join(f"{row.all[name][CAREFUL]:7.3f}" for name in UNBIASED)
        others = f"{row.all['dr'][STUDENT]:8.3f} {row.all['dr']['empirical_bernstein']:6.3f}"
        setting = f"{row.shop:14} {row.n:6} {row.logger:20} {row.target:16} {row.refused:7.0%}"
        print(f"{setting} {ours} {others}  {row.replicates}")
        sys.stdout.flush()
    for name in UNBIASED:
        total = sum(row.replicates for row in rows)
        mean = sum(row.replicates * row.all[name][CAREFUL] for row in rows) / total
        right = sum(row.replicates * right_or_refused(row, name) for row in rows) / total
        low = min(rows, key=lambda row: right_or_refused(row, name))
        error = math.sqrt(COVERED * (1 - COVERED) / low.replicates)
        lowest = right_or_refused(low, name)
        # A setting counts as below only where chance doesn't explain it: two standard errors of its replicates.
        print(
            f"{name:15} all {mean:.3f}, right or refused {right:.3f}, lowest setting {lowest:.3f} "
            + _bar(f"({low.shop}, n {low.n}, {low.logger})", right >= COVERED and lowest >= COVERED - 2 * error)
        )
    return rows


_SHORT = ("ips", "snips", "dr", "sndr", "c. ips", "c. dr")


def right_or_refused(row: Covered, name: str) -> float:
    """Return the share of replicates that were refused, or whose careful interval holds the truth."""
    answered = 0.0 if row.refused == 1 else (1 - row.refused) * row.answered[name]
    return row.refused + answered


def _gate(settings: Iterable[Promoted]) -> list[Promoted]:
    print("\nthe gate: share promoted, by the challenger's true gain")
    rows = []
    head = f"{'challenger':18} {'floor':>6} {'n':>6} {'gain':>6} {'promoted':>9} {'bound > 0':>10} {'possible':>9}"
    print(f"{head}  replicates, reasons against")
    for row in settings:
        rows.append(row)
        reasons = ", ".join(f"{code} {share:.0%}" for code, share in row.reasons.items())
        print(
            f"{row.kind:18} {row.floor:6.3f} {row.n:6} {row.gain:6.0%} {row.promoted:9.1%} {row.bound_above:10.1%} "
            f"{row.possible:9.1%}  {row.replicates}: {reasons}"
        )
        sys.stdout.flush()
    worst = max(row.promoted for row in rows if row.gain <= 0)
    print(_bar(f"false promotions {worst:.1%} at worst, bar {FALSE:.0%}", worst <= FALSE))
    return rows


def _bar(sentence: str, reached: bool) -> str:
    return f"{sentence}: {'reached' if reached else 'NOT REACHED'}"


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # Numeric libraries read it when they load, so it takes a new process.
        os.execve(sys.executable, [sys.executable, "-m", "experiments.bench.off_policy", *sys.argv[1:]], one_thread())
    main()
