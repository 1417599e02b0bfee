"""May this customer be treated at all? Opt-out, return abuse, excluded products, and the shop's own CEL rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from decision.money import MICROS
from decision.programme.model import Eligibility
from decision.records import Customer, DecisionRequest, Reason

# What a rule can speak of, and which of it has no fields.
FACTS = ("customer", "order", "trigger", "store", "features")
FLAT = ("trigger", "store")
# What CEL raises where a rule can't be evaluated, such as a comparison with what is not known.
_CANT_SAY = (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A compiled rule, and the facts it speaks of: fields by the name of a fact, None where it needs the fact whole.

    `of_profile` are the other names in it: values of the profile, and what CEL's macros bind.
    """

    program: Any
    speaks_of: tuple[tuple[str, frozenset[str] | None], ...]
    of_profile: tuple[str, ...] = ()

    def unknown(self, about: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the values of the profile that the rule speaks of and that are not known of the customer."""
        return tuple(name for name in self.of_profile if name in about and about[name] is None)

    def holds(self, about: Mapping[str, Any]) -> bool:
        """Return whether the rule is true of the facts; raises what CEL does where it can't be said."""
        # Handing facts over takes longer than the rule itself.
        needed = {
            name: about[name] if fields is None else {f: about[name][f] for f in fields if f in about[name]}
            for name, fields in self.speaks_of
        }
        needed |= {name: about[name] for name in self.of_profile if name in about}
        return self.program.execute(needed) is True


@lru_cache(maxsize=1024)
def _compiled(rule: str) -> _Rule:
    # Its package loads a command line of its own: 100 ms that a programme without rules need not pay.
    import cel

    program = cel.compile(rule)
    names = program.variables()
    speaks_of = tuple((name, _fields_of(name, rule)) for name in FACTS if name in names)
    return _Rule(program, speaks_of, tuple(name for name in names if name not in FACTS))


def _fields_of(fact: str, rule: str) -> frozenset[str] | None:
    """Return which fields of a fact a rule can ask for; None where it may use the fact in any other way."""
    if fact in FLAT:
        return None
    fields = re.findall(rf"\b{fact}\.([A-Za-z_]\w*)(?!\w*\s*\()", rule)
    return frozenset(fields) if len(fields) == len(re.findall(rf"\b{fact}\b", rule)) else None


def facts(request: DecisionRequest, customer: Customer) -> dict[str, Any]:
    """Return what a rule can speak of: customer, order, trigger, store, features, and the values of her profile."""
    return {
        **customer.profile.values,
        "customer": {
            "orders": customer.orders,
            "returns": customer.returns,
            "revenue": customer.revenue_micros / MICROS,
            "return_rate": customer.returns / max(customer.orders, 1),
        },
        "order": {
            "total": request.order.total_micros / MICROS,
            "discount": request.order.discount_micros / MICROS,
            "item_count": request.order.item_count,
            "products": list(request.order.products),
        },
        "trigger": request.trigger,
        "store": request.store or "",
        "features": dict(request.features),
    }


def assess(
    request: DecisionRequest, customer: Customer, rules: Eligibility, *, problems: frozenset[str] = frozenset()
) -> tuple[Reason, str] | None:
    """Return why the customer may not be treated, as a code and a sentence; None when she may.

    `problems` are products that customers complain about; they count where the rules say so.
    A rule that can't be evaluated (a feature that was not sent) does not hold: leaving alone is the safe answer.
    """
    if customer.opted_out:
        return Reason.OPTED_OUT, "the customer has opted out"
    if rules.max_return_rate is not None and customer.orders >= rules.return_rate_min_orders:
        rate = customer.returns / customer.orders
        if rate > rules.max_return_rate:
            return Reason.RETURN_ABUSE, f"return rate {rate:.2f} is above {rules.max_return_rate:g}"
    if excluded := rules.excluded_products.intersection(request.order.products):
        return Reason.EXCLUDED_PRODUCT, f"the order holds {sorted(excluded)[0]}"
    if rules.avoid_problem_products and (found := problems.intersection(request.order.products)):
        return Reason.EXCLUDED_PRODUCT, f"the order holds {sorted(found)[0]}, which customers complain about"
    if rules.rules:
        return _first_broken(rules.rules, facts(request, customer))
    return None


def is_true(rule: str, about: Mapping[str, Any]) -> bool:
    """Return whether a rule is true of the facts; one that can't be evaluated is not."""
    try:
        return _compiled(rule).holds(about)
    except _CANT_SAY:
        return False


def _first_broken(rules: tuple[str, ...], about: Mapping[str, Any]) -> tuple[Reason, str] | None:
    for rule in rules:
        try:
            holds = _compiled(rule).holds(about)
        except _CANT_SAY:
            missing = ", ".join(_compiled(rule).unknown(about))
            why = f": {missing} is not known of the customer" if missing else ""
            return Reason.RULE_FAILED, f"the rule {rule} could not be evaluated{why}"
        if not holds:
            return Reason.RULE_NOT_MET, f"the rule {rule} does not hold"
    return None
