"""From `programme.toml` to a validated Programme; every mistake is found in one reading."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from decision.errors import InvalidProgramme, NotFound
from decision.money import CURRENCIES
from decision.programme.metrics import DeclaredMetric, declared_metrics
from decision.programme.model import (
    AGGREGATIONS,
    BURDENS,
    FACTS,
    GUARDRAIL_METRICS,
    GUESTS,
    OFFER_KINDS,
    PERIODS,
    TRIGGERS,
    Budget,
    Channel,
    Cost,
    Eligibility,
    Feature,
    Goal,
    GuardrailRule,
    Guardrails,
    Offer,
    Programme,
    RankSettings,
    Removal,
    Retention,
    Store,
    actions_of,
)
from decision.programme.profile import profile_values
from decision.programme.section import Problems, Section, shown, unknown
from decision.programme.spoken import Spoken
from decision.records import CONTROL, EVERY_CHANNEL, Group

# Decisions of so many days before tell the learner how long customers take.
LOOK_BACK_DAYS = 60
# What the reader of TOML says, and what most likely happened.
_CAUSES = {
    "Illegal character '\\n'": "is a quote missing at its end?",
    "Cannot overwrite a value": "the key stands there twice",
    "twice": "the table stands there twice",
    "Invalid value": "is a value missing, or are the quotes of a text?",
    "after a statement": "texts and dates with a time need quotes",
}


def command(words: str, folder: Path) -> str:
    """Return how `encore` is called for the shop in a folder."""
    return f"encore {words}" if folder == Path(".") else f"encore --home {shlex.quote(str(folder))} {words}"


def load_programme(path: Path) -> Programme:
    """Return the programme in the file at `path`.

    Raises
    ------
    NotFound : there is no such file.
    InvalidProgramme : it has mistakes; each is listed with its line and place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(
            f"Expected a programme at {path}, found no file.",
            hint=f"Run `{command('init', path.parent)}` to write one.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidProgramme([f"{path} can't be read as UTF-8 text: {error}"], path=str(path)) from None
    return parse_programme(text, path=str(path))


def parse_programme(text: str, *, path: str = "programme.toml") -> Programme:
    """Return the programme in a TOML text; `path` is where it came from, for the error.

    Raises
    ------
    InvalidProgramme : it has mistakes; all of them are listed, in the order of their lines.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidProgramme([_no_toml(text, str(error))], path=path) from None
    if not table:
        sentence = "expected a [programme] and its offers, found an empty file; `encore init` writes one to start from"
        raise InvalidProgramme([sentence], path=path)
    problems = Problems(text)
    programme = _programme(Section("", table, problems), digest=hashlib.sha256(text.encode()).hexdigest()[:16])
    if problems.found:
        raise InvalidProgramme(problems.found, path=path)
    return programme


def _no_toml(text: str, error: str) -> str:
    place = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", error, re.DOTALL)
    if place is None:
        return f"not valid TOML: {error}"
    lines = text.splitlines()
    number = int(place[2]) if place[2] else len(lines)
    cause = next((cause for sign, cause in _CAUSES.items() if sign in place[1]), place[1])
    return f"line {number}: not valid TOML: {lines[number - 1].strip()} <- {cause}"


def _programme(root: Section, *, digest: str) -> Programme:
    head = root.sub("programme")
    goal = _goal(root.sub("goal"), Goal())
    window = head.whole("attribution_window_days", 28, low=1, high=365)
    channels = {name: _channel(section) for name, section in root.subs("channels").items()}
    stores = _stores(root, goal)
    offers = {
        name: _offer(section, tuple(channels), tuple(stores), window) for name, section in root.subs("offers").items()
    }
    if not offers:
        root.wrong("offers", "expected at least one offer such as [offers.free_shipping], found none")
    actions = actions_of(offers)
    action_ids = tuple(action.action_id for action in actions)
    features = {name: _feature(section) for name, section in root.subs("features").items()}
    profile = _profile(root.sub("profile"), tuple(channels), features)
    spoken = Spoken(features, tuple(channels))
    programme = Programme(
        name=head.text("name"),
        currency=_currency(head),
        timezone=_timezone(head),
        salt=head.text("salt"),
        attribution_window_days=window,
        refund_window_days=head.whole("refund_window_days", 14, high=365),
        gross_margin=head.number("gross_margin", high=1.0),
        exploration_floor=_floor(head, len(actions)),
        simulated=head.flag("simulated", False),
        guests=head.text("guests", "aside", one_of=GUESTS),
        goal=goal,
        shares=_shares(root.sub("measurement_groups")),
        business_as_usual=_business_as_usual(root.sub("business_as_usual"), action_ids),
        channels=MappingProxyType(channels),
        offers=MappingProxyType(offers),
        stores=MappingProxyType(stores),
        budgets=_budgets(root, tuple(offers), tuple(stores)),
        guardrails=_guardrails(root.sub("guardrails"), offers, tuple(channels), spoken),
        guardrail_metrics=_guardrail_metrics(root.sub("guardrail_metrics")),
        eligibility=_eligibility(root.sub("eligibility"), spoken),
        # What rules speak of decides over the allowed actions: models must see it too.
        profile=MappingProxyType(profile | spoken.of_profile),
        features=MappingProxyType(features),
        actions=actions,
        digest=digest,
        ranking=_ranking(root.sub("personalizer")),
        metrics=_metrics(root),
    )
    programme = replace(programme, retention=_retention(root.sub("retention"), programme))
    head.finish()
    root.finish()
    return programme


def _currency(head: Section) -> str:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in CURRENCIES:
            raise ValueError
        return value

    return head.take("currency", None, "EUR", read, "an ISO 4217 code such as EUR")


def _timezone(head: Section) -> ZoneInfo:
    name = head.text("timezone", "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        head.wrong("timezone", f"expected a time zone such as Europe/Berlin, found {name!r}")
        return ZoneInfo("UTC")


def _floor(head: Section, n_actions: int) -> float:
    floor = head.number("exploration_floor", 0.002, high=0.5)
    if floor * n_actions > 0.5:
        head.wrong(
            "exploration_floor",
            f"expected at most {0.5 / n_actions:.4f} with {n_actions} actions, found {floor:g}: "
            "more than half of all decisions would be exploration",
        )
    return floor


def _goal(section: Section, default: Goal) -> Goal:
    goal = Goal(
        profit=section.number("profit", default.profit),
        revenue=section.number("revenue", default.revenue),
        traffic=section.number("traffic", default.traffic),
        loyalty=section.number("loyalty", default.loyalty),
    )
    section.finish()
    nothing = Goal(0.0, 0.0, 0.0, 0.0)
    if goal == nothing != default:
        section.wrong_as_a_whole("", "expected at least one weight above 0, found none")
    return goal


def _stores(root: Section, goal: Goal) -> dict[str, Store]:
    regions: dict[str, Goal] = {}
    for name, section in root.subs("regions").items():
        regions[name] = _goal(section.sub("goal"), goal)
        section.finish()
    stores: dict[str, Store] = {}
    for name, section in root.subs("stores").items():
        region = section.text("region", "none") if section.has("region") else None
        if region is not None and region not in regions:
            section.wrong("region", unknown("region", region, tuple(regions)))
        domain = _domain(section, tuple(store.domain for store in stores.values()))
        stores[name] = Store(name, region, _goal(section.sub("goal"), regions.get(region or "", goal)), domain)
        section.finish()
    return stores


def _domain(section: Section, taken: tuple[str | None, ...]) -> str | None:
    if not section.has("domain"):
        return None
    domain = section.text("domain", "none").lower()
    if "/" in domain or " " in domain:
        section.wrong("domain", f"expected a domain such as my-shop.myshopify.com, found {shown(domain)}")
    if domain in taken:
        section.wrong("domain", f"expected each domain at one store, found {shown(domain)} again")
    return domain


def _channel(section: Section) -> Channel:
    channel = Channel(
        name=section.path.rpartition(".")[2],
        contact_cost_micros=section.money("contact_cost", "0"),
        consent_required=section.flag("consent_required", False),
        quiet_hours=_quiet_hours(section),
    )
    section.finish()
    if channel.name in (CONTROL, EVERY_CHANNEL):
        section.wrong("", f"expected another name: `{CONTROL}` does nothing, `{EVERY_CHANNEL}` means every channel")
    return channel


def _quiet_hours(section: Section) -> tuple[time, time] | None:
    text = section.raw("quiet_hours")
    if text is None:
        return None
    try:
        start, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
        if start.tzinfo is None and end.tzinfo is None:
            return start, end
    except (AttributeError, ValueError):
        pass
    section.wrong("quiet_hours", f'expected two local hours such as "21:00-08:00", found {shown(text)}')
    return None


def _offer(section: Section, channels: tuple[str, ...], stores: tuple[str, ...], window: int) -> Offer:
    kind = section.text("kind", one_of=tuple(OFFER_KINDS))
    if section.raw("kind") not in tuple(OFFER_KINDS):
        # The terms may be right for the kind that was meant.
        section.pass_over(*(term for terms in OFFER_KINDS.values() for term in terms))
    terms = {term: section.number(term, low=0.01, high=100.0) for term in OFFER_KINDS[kind]}
    cost = section.sub("cost")
    offer = Offer(
        name=section.path.rpartition(".")[2],
        kind=kind,
        terms=MappingProxyType(terms),
        cost=Cost(
            on_contact_micros=cost.money("on_contact", "0"),
            on_redemption_micros=cost.money("on_redemption", "0"),
            share_of_basket=cost.number("share_of_basket", 0.0, high=1.0),
        ),
        channels=section.texts("channels", known=channels, what="channel"),
        stores=frozenset(section.texts("stores", known=stores, what="store")),
        triggers=frozenset(section.texts("triggers", known=TRIGGERS, what="trigger")),
        min_basket_micros=section.money("min_basket", "0"),
        # A redemption after the window would be neither rewarded nor counted in a budget.
        validity_days=section.whole("validity_days", min(28, window), low=1, high=window),
        valid_from=section.day("valid_from"),
        valid_until=section.day("valid_until"),
    )
    cost.finish()
    section.finish()
    if not offer.channels:
        section.wrong_as_a_whole(
            "channels", f"expected at least one of {', '.join(channels) or 'the channels'}, found none"
        )
    if offer.valid_from and offer.valid_until and offer.valid_from > offer.valid_until:
        section.wrong("valid_until", f"expected a day after {offer.valid_from}, found {offer.valid_until}")
    if kind != "none" and offer.cost == Cost():
        section.wrong_as_a_whole("cost", "expected what the offer costs (on_contact, on_redemption or share_of_basket)")
    return offer


def _feature(section: Section) -> Feature:
    feature = Feature(section.path.rpartition(".")[2], section.text("type", one_of=("number", "category")))
    section.finish()
    if feature.name in FACTS:
        section.wrong("", "expected another name: Encore itself fills a fact of this name")
    return feature


def _shares(section: Section) -> Mapping[Group, float]:
    defaults = {Group.HOLDOUT: 0.05, Group.RANDOM: 0.05, Group.BUSINESS_AS_USUAL: 0.05, Group.POLICY: 0.85}
    shares = {group: section.number(group.value, defaults[group], high=1.0) for group in Group}
    section.finish()
    if abs(sum(shares.values()) - 1.0) > 1e-9:
        section.wrong_as_a_whole("", f"expected shares that add up to 1, found {sum(shares.values()):g}")
    return MappingProxyType(shares)


def _business_as_usual(section: Section, action_ids: tuple[str, ...]) -> Mapping[str, str]:
    rule = {trigger: section.text(trigger, CONTROL) for trigger in TRIGGERS}
    for trigger, action_id in rule.items():
        # Where its offer has a mistake, the action may be right.
        if action_id not in action_ids and not section.problems.any_at(f"offers.{action_id.partition('@')[0]}"):
            section.wrong(trigger, unknown("action", action_id, action_ids))
    section.finish()
    return MappingProxyType(rule)


def _budgets(root: Section, offers: tuple[str, ...], stores: tuple[str, ...]) -> tuple[Budget, ...]:
    budgets = []
    for name, section in root.subs("budgets").items():
        offer = section.text("offer") if section.has("offer") else None
        store = section.text("store") if section.has("store") else None
        if offer is not None and offer not in offers:
            section.wrong("offer", unknown("offer", offer, offers))
        if store is not None and store not in stores:
            section.wrong("store", unknown("store", store, stores))
        budget = Budget(
            name=name,
            offer=offer,
            store=store,
            period=section.text("period", "programme", one_of=PERIODS),
            amount_micros=section.money("amount") if section.has("amount") else None,
            count=section.whole("count") if section.has("count") else None,
            pacing=section.flag("pacing", True),
        )
        section.finish()
        if budget.amount_micros is None and budget.count is None:
            section.wrong_as_a_whole("", "expected an `amount` or a `count`, found neither")
        budgets.append(budget)
    return tuple(budgets)


def _guardrails(section: Section, offers: Mapping[str, Offer], channels: tuple[str, ...], spoken: Spoken) -> Guardrails:
    cap = section.sub("frequency_cap")
    guardrails = Guardrails(
        frequency_contacts=cap.whole("contacts", low=0) if section.has("frequency_cap") else None,
        frequency_days=cap.whole("days", 30, low=1, high=365),
        margin_floor=section.number("margin_floor", low=-1.0, high=1.0) if section.has("margin_floor") else None,
        removals=tuple(_removal(own, tuple(offers), channels, spoken) for own in section.subs("rules").values()),
    )
    cap.finish()
    section.finish()
    return guardrails


def _removal(section: Section, offers: tuple[str, ...], channels: tuple[str, ...], spoken: Spoken) -> Removal:
    removal = Removal(
        name=section.path.rpartition(".")[2],
        when=section.text("when"),
        offers=frozenset(section.texts("offers", known=offers, what="offer")),
        channels=frozenset(section.texts("channels", known=channels, what="channel")),
    )
    if section.has("when") and removal.when:
        spoken.check(section, "when", removal.when)
    section.finish()
    return removal


def _guardrail_metrics(section: Section) -> tuple[GuardrailRule, ...]:
    found = []
    for metric, usual in GUARDRAIL_METRICS.items():
        own = section.sub(metric)
        burden = own.text("burden", "harm" if section.has(metric) else usual, one_of=BURDENS)
        rule = GuardrailRule(metric, own.number("tolerance", 0.0), burden)
        own.finish()
        if burden == "safety" and rule.tolerance == 0 and not section.problems.any_at(own.path):
            own.wrong("burden", "expected a tolerance above 0 with safety: that nothing at all changes can't be proven")
        if burden != "off":
            found.append(rule)
    section.finish()
    return tuple(found)


def _metrics(root: Section) -> tuple[DeclaredMetric, ...]:
    metrics = declared_metrics(root.subs("metrics"))
    if metrics and not any(metric.role == "primary" for metric in metrics):
        root.wrong_as_a_whole("metrics", 'expected a metric with role = "primary", found none')
    return metrics


def _profile(section: Section, channels: tuple[str, ...], features: Mapping[str, Feature]) -> dict[str, str]:
    """Return the values of customers' profiles that decisions see, with their kinds."""
    if not section.has("values"):
        section.finish()
        return {}
    known = profile_values(channels)
    names = section.texts("values", known=tuple(known), what="profile value")
    for name in names:
        if name in features:
            section.wrong("values", f"expected another name in [features] than {name!r}, which the profile has too")
    section.finish()
    return {name: known[name] for name in names if name in known}


def _eligibility(section: Section, spoken: Spoken) -> Eligibility:
    eligibility = Eligibility(
        max_return_rate=section.number("max_return_rate", high=1.0) if section.has("max_return_rate") else None,
        return_rate_min_orders=section.whole("return_rate_min_orders", 5, low=1),
        excluded_products=frozenset(section.texts("excluded_products")),
        rules=section.texts("rules"),
        avoid_problem_products=section.flag("avoid_problem_products", False),
    )
    for rule in eligibility.rules:
        spoken.check(section, "rules", rule)
    section.finish()
    return eligibility


def _ranking(section: Section) -> RankSettings:
    usual = RankSettings()
    settings = RankSettings(
        reward_wait=timedelta(
            seconds=section.number("reward_wait_seconds", usual.reward_wait.total_seconds(), low=5.0, high=172_800.0)
        ),
        default_reward=section.number("default_reward", usual.default_reward, low=-1.0, high=1.0),
        aggregation=section.text("reward_aggregation", usual.aggregation, one_of=AGGREGATIONS),
        exploration=section.number("exploration", usual.exploration, high=1.0),
    )
    section.finish()
    return settings


def _retention(section: Section, programme: Programme) -> Retention:
    final = programme.attribution_window_days + programme.refund_window_days
    measured = max([final, *(math.ceil(m.window_days) + programme.refund_window_days for m in programme.metrics)]) + 1
    # The learner asks of decisions whose rewards are final how long customers take; the day that is not full yet stays.
    needed = max(final + LOOK_BACK_DAYS + 1, programme.guardrails.frequency_days, measured) + 1
    retention = Retention(
        decisions_days=_limit(section, "decisions_days", needed, "windows, learner and frequency cap look back so far"),
        events_days=_limit(
            section, "events_days", measured, "attribution and refund window, and those of metrics, must be over"
        ),
        customers_days=_limit(
            section, "customers_days", measured, "attribution and refund window, and those of metrics, must be over"
        ),
        deliveries_days=_limit(section, "deliveries_days", 1, "a message is tried for so long"),
        inbox_days=_limit(section, "inbox_days", 1, "somebody has to look at it"),
        ranked_days=_limit(section, "ranked_days", 3, "rewards are waited for up to two days"),
    )
    section.finish()
    return retention


def _limit(section: Section, key: str, low: int, reason: str) -> int | None:
    if not section.has(key):
        return None
    days = section.whole(key, low=1, high=36_500)
    if days < low:
        section.wrong(key, f"expected at least {low} days, found {days}: {reason}")
    return days
