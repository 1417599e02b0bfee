"""What a server decides with at a moment: programme, champion and belief, in one immutable record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from msgspec import Struct, structs

from decision.bundle.manifest import Manifest
from decision.bundle.models import UpliftModel, uplift_model_from
from decision.bundle.shelf import Shelf
from decision.bundle.store import Bundle, unpack
from decision.errors import InvalidBundle
from decision.policies.action_features import ActionFeatures
from decision.policies.base import Outlook, Policy, Situation
from decision.policies.greedy_uplift import GreedyUplift
from decision.policies.posterior import Posterior
from decision.policies.registry import bandit_named
from decision.policies.rule import Rule
from decision.policies.uniform import Uniform
from decision.programme.model import Goal, Programme
from decision.records import CONTROL, Action, ContextValue, Decision, FloatArray, Group, IntArray, Menu, action_named
from decision.stages.context import Encoder
from decision.stages.pacing import Price, charge
from decision.stages.valuation import Worth, before_cost, expected_cost

# The policy version of decisions made before the first promotion.
NO_BUNDLE = "business_as_usual"
# The name among a decision's predictions of what scarce budgets charged.
SHADOW_PRICE = "shadow_price"


@dataclass(frozen=True, slots=True)
class Champion:
    """A policy bundle made ready to decide. `index` gives each action's place in its catalogue."""

    version: str
    manifest: Manifest
    encoder: Encoder
    model: UpliftModel
    policy: Policy
    index: Mapping[str, int]
    _places: Callable[[tuple[str, ...]], _Places]

    def value(
        self,
        programme: Programme,
        goal: Goal,
        *,
        allowed: Sequence[Action],
        context: Mapping[str, ContextValue],
    ) -> Valued:
        """Return what is foreseen for those of the allowed actions that the bundle was trained with."""
        return self.value_of(programme, goal, Menu.of(allowed), context)

    def value_of(self, programme: Programme, goal: Goal, menu: Menu, context: Mapping[str, ContextValue]) -> Valued:
        """Return the same for the actions of a menu."""
        places = self._places(menu.ids)
        features, index = self.encoder.encode(context), places.index
        components = self.model.predict(features, index)
        cost = expected_cost(programme, places.known_ids, components)
        outlook = Outlook(features, index, components, before_cost(programme, goal, components).less(cost))
        repurchase = self.policy.repurchase(outlook)
        return Valued(places.known, outlook, repurchase, outlook.worth.value(repurchase), cost)


@dataclass(frozen=True, slots=True)
class _Places:
    """Which of some actions are in a catalogue, and where."""

    known: tuple[bool, ...]
    known_ids: tuple[str, ...]
    index: IntArray


def _places_in(catalogue: Mapping[str, int]) -> Callable[[tuple[str, ...]], _Places]:
    def found(ids: tuple[str, ...]) -> _Places:
        known = tuple([action_id for action_id in ids if action_id in catalogue])
        index = np.array([catalogue[action_id] for action_id in known], dtype=np.int64)
        return _Places(tuple([action_id in catalogue for action_id in ids]), known, index)

    # The same few sets of actions are allowed again and again.
    return lru_cache(maxsize=512)(found)


class Valued(Struct, frozen=True):
    """Odds and values [K'] of the allowed actions that a champion knows; `known` [K] marks them among all.

    `value` is true money. `shadow_price` is what each is charged for scarce budgets, None where none is scarce:
    policies see it in the outlook's worth, rewards never.
    """

    known: tuple[bool, ...]
    outlook: Outlook
    repurchase: FloatArray
    value: FloatArray
    cost: Worth
    shadow_price: FloatArray | None = None

    def charged(self, price: Worth) -> Valued:
        """Return the same where actions are charged `price` for scarce budgets."""
        outlook = structs.replace(self.outlook, worth=self.outlook.worth.less(price))
        return structs.replace(self, outlook=outlook, shadow_price=price.value(self.repurchase))

    def charged_as(self, decision: Decision, actions: Sequence[Action]) -> Valued:
        """Return the same where the known `actions` [K'] are charged what they were when a decision was made."""
        found = decision.predictions.get(SHADOW_PRICE)
        if found is None:
            return self
        then = dict(zip(decision.allowed, found, strict=True))
        fixed = np.array([then.get(action.action_id) or 0.0 for action in actions])
        return self.charged(Worth(fixed, np.zeros(len(fixed))))

    @property
    def net(self) -> FloatArray:
        """Return the values [K'] after what is charged for scarce budgets."""
        return self.value if self.shadow_price is None else self.value - self.shadow_price

    def by_name(self) -> dict[str, tuple[float | None, ...]]:
        """Return odds, values and shadow prices for every allowed action, None where the champion does not know it."""
        found = {"repurchase": self._spread(self.repurchase), "value": self._spread(self.value)}
        if self.shadow_price is not None:
            found[SHADOW_PRICE] = self._spread(self.shadow_price)
        return found

    def _spread(self, values: FloatArray) -> tuple[float | None, ...]:
        found = values.round(6).tolist()
        if len(found) == len(self.known):
            return tuple(found)
        some = iter(found)
        return tuple(next(some) if known else None for known in self.known)


@dataclass(frozen=True, slots=True)
class Serving:
    """Programme, champion and the prices of budgets; before the first champion `policy` gets business as usual.

    `missing` is the bundle that should serve where it can't be read and there is no last good one: `policy` then gets
    control, for the shop's own rule is what the champion has replaced. `shelf` is what products are recommended from.
    """

    programme: Programme
    champion: Champion | None
    prices: Mapping[str, Price] = field(default_factory=dict)
    missing: str | None = None
    shelf: Shelf = field(default_factory=Shelf)

    @property
    def version(self) -> str:
        """Return the policy version that decisions carry."""
        return self.champion.version if self.champion else NO_BUNDLE

    def policy_of(self, group: Group) -> tuple[Policy, float]:
        """Return the policy that decides for a measurement group, and its exploration floor."""
        if group is Group.HOLDOUT:
            return Rule({}), 0.0
        if group is Group.RANDOM:
            return Uniform(), 0.0
        if group is Group.POLICY and self.champion is not None:
            return self.champion.policy, self.programme.exploration_floor
        return Rule(self.programme.business_as_usual), 0.0

    def value(self, menu: Menu, context: Mapping[str, ContextValue], store: str | None) -> Valued | None:
        """Return what the champion foresees under the store's goal; None without a champion."""
        if self.champion is None:
            return None
        valued = self.champion.value_of(self.programme, self.programme.goal_of(store), menu, context)
        if not self.prices:
            return valued
        known = [action for action, is_known in zip(menu.actions, valued.known, strict=True) if is_known]
        price = charge(self.programme, self.prices, known, store=store, cost=valued.cost)
        return valued if price is None else valued.charged(price)


def action_features(manifest: Manifest, encoder: Encoder) -> ActionFeatures:
    """Return the bandit's features for a bundle's catalogue."""
    return ActionFeatures([action_named(a) for a in manifest.actions], encoder.width)


def base_posterior(bundle: Bundle) -> Posterior:
    """Return the belief that a bundle was trained to: the bandit's starting point. Raises `InvalidBundle`."""
    try:
        return posterior_from(bundle.arrays)
    except KeyError as missing:
        raise InvalidBundle(f"Expected the array {missing} in {bundle.version}, found none.") from None


def posterior_from(arrays: Mapping[str, FloatArray], *, name: str = "posterior") -> Posterior:
    """Return a posterior from its arrays."""
    return Posterior(arrays[f"{name}.mean"], arrays[f"{name}.precision"], int(arrays[f"{name}.n"]))


def posterior_arrays(posterior: Posterior, *, name: str = "posterior") -> dict[str, FloatArray]:
    """Return a posterior as arrays; the opposite of `posterior_from`."""
    return {
        f"{name}.mean": posterior.mean,
        f"{name}.precision": posterior.precision,
        f"{name}.n": np.array(float(posterior.n)),
    }


def champion_from(bundle: Bundle, belief: bytes | None = None, sequence: int = 0) -> Champion:
    """Return a bundle made ready to decide, with a later belief of its bandit where there is one.

    Raises
    ------
    InvalidBundle : control is missing, or arrays are missing, of the wrong shape, or of an unknown kind.
    """
    actions = bundle.manifest.actions
    if CONTROL not in actions or len(set(actions)) < len(actions):
        raise InvalidBundle(f"Expected control and each action once in {bundle.version}, found {', '.join(actions)}.")
    try:
        champion = _champion(bundle, belief, sequence)
        _rehearse(champion)
    except KeyError as missing:
        raise InvalidBundle(f"Expected the array {missing} in {bundle.version}, found none.") from None
    except (IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InvalidBundle(f"Expected arrays that fit together in {bundle.version}, found: {error}.") from None
    return champion


def _champion(bundle: Bundle, belief: bytes | None, sequence: int) -> Champion:
    manifest = bundle.manifest
    index = {action_id: k for k, action_id in enumerate(manifest.actions)}
    encoder = Encoder(manifest.columns)
    policy: Policy = GreedyUplift()
    if manifest.has_bandit:
        posterior = base_posterior(bundle) if belief is None else posterior_from(unpack(belief))
        features = action_features(manifest, encoder)
        if posterior.mean.shape != (features.size,):
            raise InvalidBundle(f"Expected {features.size} weights in {bundle.version}, found {posterior.mean.shape}.")
        policy = bandit_named(
            manifest.policy,
            features,
            posterior,
            draws=manifest.draws,
            exploration=manifest.exploration,
            seed=manifest.seed,
        )
    return Champion(
        version=f"{bundle.version}+{sequence}",
        manifest=manifest,
        encoder=encoder,
        model=uplift_model_from(manifest.heads, bundle.arrays),
        policy=policy,
        index=index,
        _places=_places_in(index),
    )


def _rehearse(champion: Champion) -> None:
    """Predict once for a customer of whom nothing is known: better to fail here than at the till."""
    actions = tuple(action_named(action_id) for action_id in champion.manifest.actions)
    k = len(actions)
    known = {column.name: 0.0 for column in champion.encoder.columns}
    for context in ({}, known):
        x, index = champion.encoder.encode(context), np.arange(k)
        foreseen = champion.model.predict(x, index)
        for values in (foreseen.visit, foreseen.repurchase, foreseen.basket, foreseen.redemption):
            if values.shape != (k,) or not np.isfinite(values).all():
                raise ValueError(f"{values} for {k} actions")
        outlook = Outlook(x, index, foreseen, Worth(np.zeros(k), np.ones(k)))
        champion.policy.distribution(Situation("", actions, outlook))
