"""Many seeds into one line: mean, spread and worst, and how a table of them looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from experiments.off_policy.estimate import half_width, two_sided


class Score(msgspec.Struct, frozen=True):
    """A figure over seeds. `low` and `high` are Student's 95 % interval of the mean, None with a single seed."""

    mean: float
    sd: float | None
    worst: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]

    @classmethod
    def of(cls, seeds: Sequence[float], *, higher_is_better: bool) -> Score:
        """Return the score of one figure a seed."""
        sample = np.array(seeds, float)
        mean = float(sample.mean())
        worst = float(sample.min() if higher_is_better else sample.max())
        if len(sample) < 2:
            return cls(mean, None, worst, None, None, tuple(sample.tolist()))
        sd = float(sample.std(ddof=1))
        half = half_width(sd / len(sample) ** 0.5, len(sample) - 1, two_sided(0.95))
        return cls(mean, sd, worst, mean - half, mean + half, tuple(sample.tolist()))

    def text(self) -> str:
        """Return mean, standard deviation and worst seed, in a fixed width."""
        spread = "" if self.sd is None else f"± {self.sd:.1f}"
        return f"{self.mean:6.1f} {spread:<6} {f'[{self.worst:.1f}]':>8}"


WIDTH = 22
NOTHING = "–".rjust(6).ljust(WIDTH)


class Line(msgspec.Struct, frozen=True):
    """One who took part: scores by column, further figures as text, and where it ran."""

    name: str
    label: str
    scores: dict[str, Score]
    figures: dict[str, str]
    ran_in: str
    missing: str = ""


def table(lines: Sequence[Line], *, columns: Sequence[str], figures: Sequence[str]) -> str:
    """Return lines as a person reads them, in the order given; who could not take part comes below, with the reason."""
    label = max([len(line.label) for line in lines] + [8]) + 2
    widths = [max(len(name), *(len(line.figures.get(name, "–")) for line in lines)) + 2 for name in figures]
    head = f"{'':{label}}" + "".join(f"{name:^{WIDTH}}  " for name in columns)
    head += "".join(f"{name:>{width}}" for name, width in zip(figures, widths, strict=True)) + "  ran in"
    rows = [head]
    for line in lines:
        if line.missing:
            continue
        scores = "".join(f"{line.scores[name].text() if name in line.scores else NOTHING}  " for name in columns)
        more = "".join(f"{line.figures.get(n, '–'):>{width}}" for n, width in zip(figures, widths, strict=True))
        rows.append(f"{line.label:{label}}{scores}{more}  {line.ran_in}")
    rows += [f"{line.label}: left out. {line.missing}" for line in lines if line.missing]
    return "\n".join(rows)


def best_first(lines: Sequence[Line], column: str, *, higher_is_better: bool) -> list[Line]:
    """Return lines by their mean in one column."""
    sign = -1.0 if higher_is_better else 1.0

    def place(line: Line) -> float:
        return sign * line.scores[column].mean if column in line.scores else float("inf")

    return sorted(lines, key=place)


def as_json(lines: Sequence[Line], **about: Any) -> bytes:
    """Return the lines and what they are about as JSON."""
    return msgspec.json.format(msgspec.json.encode({**about, "lines": lines}), indent=2) + b"\n"
