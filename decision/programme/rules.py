"""Looks at the shop's CEL rules before they are served: a rule that can't hold would leave every customer alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from decision.programme.model import Feature
from decision.programme.profile import Meaning
from decision.programme.section import unknown
from decision.records import Customer, DecisionRequest, Order, Profile
from decision.stages.eligibility import facts

# The variable that a CEL macro such as `order.products.exists(p, p == "X")` binds.
_BOUND = re.compile(r"\.(?:all|exists|exists_one|filter|map)\(\s*(\w+)\s*,")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def mistakes(rule: str, features: Mapping[str, Feature], profile: Mapping[str, Meaning]) -> Iterator[str]:
    """Yield what is wrong with a rule: its grammar, else the names it knows, else what it answers.

    `profile` are the values that customers' profiles may have.
    """
    try:
        import cel
    except ImportError:
        yield "rules need a package that is not installed: pip install 'encore[rules]'"
        return
    try:
        program = cel.compile(rule)
    except ValueError as error:
        yield f"expected a CEL expression, found {rule!r}: {_reason(error)}"
        return
    samples = tuple(_samples(features, {name: meaning.kind for name, meaning in profile.items()}))
    names = list(_unknown_names(rule, tuple(program.variables()), samples[0]))
    names += _unknown_levels(rule, {name: m.levels for name, m in profile.items() if m.levels})
    yield from (f"{rule!r}: {name}" for name in names)
    if not names and (found := _first_wrong(program, samples)):
        yield f"{rule!r}: expected true or false, found {found}"


def _unknown_names(rule: str, variables: tuple[str, ...], sample: Mapping[str, Any]) -> Iterator[str]:
    bare = _QUOTED.sub("''", rule)
    bound = _BOUND.findall(bare)
    for name in variables:
        if name not in sample and name not in bound:
            yield unknown("name", name, tuple(sample))
    for name, known in sample.items():
        if isinstance(known, Mapping) and name not in bound:
            for field in dict.fromkeys(re.findall(rf"(?<![\w.]){name}\.(\w+)", bare)):
                if field not in known:
                    what = "feature" if name == "features" else f"{name} field"
                    yield unknown(what, field, tuple(known))


def of_profile(rule: str, profile: Iterable[str]) -> tuple[str, ...]:
    """Return which values of profiles a rule without mistakes speaks of."""
    import cel

    spoken = cel.compile(rule).variables()
    return tuple(name for name in profile if name in spoken)


def _unknown_levels(rule: str, levels: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for name, known in levels.items():
        for found in re.findall(rf"""(?<![\w.]){name}\s*[!=]=\s*["']([^"']*)["']""", rule):
            if found not in known:
                yield unknown(name, found, known)


def _first_wrong(program: Any, samples: tuple[Mapping[str, Any], ...]) -> str:
    """Return what a rule gives instead of true or false; "" where it never does."""
    for sample in samples:
        try:
            answer = program.execute(sample)
        except (TypeError, KeyError) as error:
            return f"an error: {_reason(error)}"
        except (RuntimeError, ValueError, IndexError, ArithmeticError) as error:
            if str(error).startswith("Undefined"):
                return f"an error: {_reason(error)}"
            # Of this sample's values, not of the rule: others may do.
            continue
        if not isinstance(answer, bool):
            return f"{answer!r}"
    return ""


def _reason(error: Exception) -> str:
    """Return the first sentence of an error, without the list of all that might have followed."""
    first = str(error).splitlines()[0].partition(". ")[0].partition(", expecting")[0].partition(" expecting {")[0]
    return first.partition("ERROR: ")[2] or first


def _samples(features: Mapping[str, Feature], profile: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a newcomer with a small order and a known customer who returns a large one, all features sent."""
    for trigger, size in (("purchase", 1), ("return", 1_000)):
        order = Order("o", size * 1_000_000, 0, ("A",) * min(size, 3), size)
        sent = {name: float(size) if feature.kind == "number" else "a" for name, feature in features.items()}
        request = DecisionRequest("d", "c", trigger, order, "a", "", features=sent)
        worked_out = Profile({name: float(size) if kind == "number" else "a" for name, kind in profile.items()})
        micros = (size - 1) * 1_000_000
        yield facts(request, Customer("c", size - 1, size // 10, revenue_micros=micros, profile=worked_out))
