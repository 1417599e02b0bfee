"""Sample-ratio mismatch: are the arms as large as the design says?

Pearson's chi-square test of the arm counts. The threshold is that of Fabijan et al., "Diagnosing Sample Ratio
Mismatch in Online Controlled Experiments", KDD 2019: a mismatch is a fault of the trial, so that a false alarm
must be rare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from decision.errors import EncoreError

THRESHOLD = 0.001


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """How many customers each arm has, and the probability the design gave it."""

    found: Mapping[str, int]
    design: Mapping[str, float]

    @property
    def expected(self) -> dict[str, float]:
        """Return how many customers each arm would have on average."""
        n = sum(self.found.values())
        return {arm: n * probability for arm, probability in self.design.items()}

    @property
    def p_value(self) -> float:
        """Return the chance of counts at least this far from the design, had the trial followed it."""
        from scipy.special import chdtrc

        chi_square = sum((self.found[arm] - mean) ** 2 / mean for arm, mean in self.expected.items())
        return float(chdtrc(len(self.design) - 1, chi_square))

    @property
    def mismatch(self) -> bool:
        """Return whether the counts contradict the design."""
        return self.p_value < THRESHOLD

    @property
    def sentence(self) -> str:
        """Return each arm with what was expected and found."""
        return "; ".join(
            f"{arm} expected {mean:,.1f}, found {self.found[arm]:,}" for arm, mean in self.expected.items()
        )


class SampleRatioMismatch(EncoreError):
    """The arm counts contradict the design of the trial."""

    def __init__(self, counts: ArmCounts) -> None:
        super().__init__(
            f"Expected arms in the proportions of the design, found a sample-ratio mismatch "
            f"(chi-square p = {counts.p_value:.2g}): {counts.sentence}.",
            hint="Customers were lost or added after randomisation, or [design] is wrong: the propensities would be "
            'too. Find the cause; to import all the same, say why with --accept-srm "reason".',
        )
        self.counts = counts
