"""The shop's rules while its programme is read: each is checked, and what they speak of is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from decision.programme import rules
from decision.programme.model import Feature
from decision.programme.profile import Meaning, profile_meanings
from decision.programme.section import Section


class Spoken:
    """What rules may speak of, and in `of_profile` the values of profiles that some speak of, with their kinds."""

    def __init__(self, features: Mapping[str, Feature], channels: tuple[str, ...]) -> None:
        """`features` and `channels` are the programme's."""
        self._features = features
        self._channels = channels
        self.of_profile: dict[str, str] = {}

    @cached_property
    def _known(self) -> Mapping[str, Meaning]:
        # A programme without rules asks nobody.
        return profile_meanings(self._channels)

    def check(self, section: Section, key: str, rule: str) -> None:
        """Note a rule's mistakes, else what it speaks of."""
        wrong = list(rules.mistakes(rule, self._features, self._known))
        for mistake in wrong:
            section.wrong(key, mistake)
        for name in () if wrong else rules.of_profile(rule, self._known):
            if name in self._features:
                section.wrong(key, f"expected another name in [features] than {name!r}, which the profile has too")
            self.of_profile[name] = self._known[name].kind
