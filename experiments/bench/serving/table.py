"""A report as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from experiments.bench.serving.report import Claim, Line, Report

WIDTH = 60
VERDICTS = {True: "held", False: "MISSED", None: ""}


def table(report: Report) -> str:
    """Return everything that was measured, then what it was measured on."""
    found = report.findings.values()
    lines = [line for each in found for line in each.lines]
    claims = [claim for each in found for claim in each.claims]
    skipped = [reason for each in found for reason in each.skipped]
    parts = [_lines(lines), _claims(claims), "\n".join(f"Left out: {reason}" for reason in skipped), _about(report)]
    return "\n\n".join(part for part in parts if part)


def _lines(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    rows = [f"{'':{WIDTH}}{'answers/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'CPU µs':>9}"]
    section = ""
    for line in lines:
        if line.section != section:
            section = line.section
            rows.append(section)
        f = line.median
        rows.append(
            f"{'  ' + line.name:{WIDTH}}{f.per_second:>10,.0f}{f.p50_ms:>9.2f}{f.p99_ms:>9.2f}"
            f"{f.max_ms:>9.1f}{f.cpu_us:>9,.0f}"
        )
    return "\n".join(rows)


def _claims(claims: Sequence[Claim]) -> str:
    if not claims:
        return ""
    head = f"{'':{WIDTH}}{'median':>10}{'lowest':>9}{'highest':>9}  {'':5}{'asked':>9}"
    return "\n".join([head, *map(_claim, claims)])


def _claim(claim: Claim) -> str:
    figures = f"{_number(claim.median):>10}{_number(claim.low):>9}{_number(claim.high):>9}  {claim.unit:5}"
    return f"{claim.name:{WIDTH}}{figures}{_bar(claim):>9}  {VERDICTS[claim.held]}".rstrip()


def _bar(claim: Claim) -> str:
    if claim.bar is None:
        return ""
    asked = ((">=", claim.bar.at_least), ("<=", claim.bar.at_most))
    return " ".join(f"{sign} {limit:g}" for sign, limit in asked if limit is not None)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _about(report: Report) -> str:
    settings, machine, found = report.settings, report.machine, report.findings.values()
    acknowledged, lost = (sum(getattr(each, name) for each in found) for name in ("acknowledged", "lost"))
    errors: Counter[str] = Counter()
    for each in found:
        errors.update(each.errors)
    named = ", ".join(f"{count:,} x {name}" for name, count in sorted(errors.items())) or "no errors"
    return "\n".join(
        [
            f"{settings.workers} workers x {settings.threads} threads, {settings.connections} connections, "
            f"medians of {settings.rounds} rounds of {settings.seconds:g} s each; "
            f"client at most {max((each.client_busy for each in found), default=0.0):.0%} busy",
            f"{acknowledged:,} decisions acknowledged, {lost:,} lost, {named}",
            f"fsync of this disk {machine.fsync_us:,.0f} µs; {machine.processor} x {machine.cores}, {machine.system}",
            " · ".join(f"{name} {number}" for name, number in machine.versions.items()),
        ]
    )
