"""Rules at work: which rule takes what of a batch, and what then happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import TypeAlias

import orjson

from untrace_pipeline.api import Consumer
from untrace_pipeline.conditions import Condition, Conditions
from untrace_pipeline.data import Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.errors import ConditionError
from untrace_plugins.connectors.routing.destinations import Doors, Plan
from untrace_plugins.connectors.routing.rules_config import By, Match, RuleConfig, RulesConfig
from untrace_plugins.connectors.routing.sampling import RateSampler, sampler_of

__all__ = ["DEFAULT", "Routed", "Rule", "SignalRules"]

DEFAULT = "default"
"""Stands in metrics and explanations for the rule that takes what no rule takes."""
_TRACE_ID = Field(Level.ITEM, "trace_id")
_METADATA = attribute("untrace.metadata")

Mask: TypeAlias = list[bool]
Trouble: TypeAlias = Callable[[str], None]
"""Takes what went wrong where a condition has no answer; may raise."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of one signal."""

    config: RuleConfig | None
    """``None`` for what happens without a rule."""
    condition: Condition | None
    plan: Plan
    sampler: RateSampler | None
    metadata: bytes

    @property
    def id(self) -> str:
        """Its name in metrics and explanations."""
        return DEFAULT if self.config is None else self.config.id

    def prepare(self, batch: Batch) -> tuple[Batch | None, int]:
        """Return what is left of a batch after sampling, with the metadata of the rule, and how much is not."""
        before = batch.item_count
        left = batch if self.sampler is None else batch.select(self.sampler.sample(batch))
        if left is None:
            return None, before
        self.annotate(left)
        return left, before - left.item_count

    def annotate(self, batch: Batch) -> None:
        """Write the metadata of the rule."""
        if self.metadata:
            batch.set(_METADATA, [_with_metadata(value, self.metadata) for value in batch.column(_METADATA)])


@dataclass(slots=True)
class Routed:
    """What becomes of a batch."""

    deliveries: list[tuple[Consumer, Batch]] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    """Items by the rule that took them."""
    sampled: int = 0
    """Items that sampling left out everywhere."""
    no_route: int = 0
    """Items that no rule takes, where there is no default."""

    def add(self, rule: Rule, batch: Batch) -> None:
        """Deliver a batch as a rule says."""
        self.taken[rule.id] = self.taken.get(rule.id, 0) + batch.item_count
        left, sampled = rule.prepare(batch)
        self.sampled += sampled
        if left is not None:
            for target, mask in rule.plan.deal(left):
                part = left.copy() if mask is None else left.copy().select(mask)
                if part is not None:
                    self.deliveries.append((target.consumer, part))


class SignalRules:
    """The rules of one signal, compiled. Immutable: a new set takes its place as a whole."""

    def __init__(self, config: RulesConfig, signal: Signal, doors: Doors) -> None:
        """Raises :class:`StartError` for destinations and transformations that are not there."""
        self.signal = signal
        self.config = config
        self.rules = tuple(_compiled(config, signal, doors))
        self.default = Rule(
            None,
            None,
            doors.plan(DEFAULT, config.default_destinations, config.fallback_destinations),
            sampler_of(config.sampling, signal),
            b"",
        )
        self._asked = Conditions([rule.condition for rule in self.rules if rule.condition is not None], Level.ITEM)
        self.by = By.SPAN if signal is Signal.METRICS and config.by is By.TRACE else config.by
        """What goes one way as a whole; data points belong to no trace."""

    def route(self, batch: Batch, trouble: Trouble) -> Routed:
        """Return what becomes of a batch, which is not empty; it must not be used afterwards."""
        return self._all(batch, trouble) if self.config.match is Match.ALL else self._first(batch, trouble)

    def matches(self, batch: Batch, trouble: Trouble) -> Iterator[tuple[Rule, Mask]]:
        """Yield each rule, in order, with the items that it takes if they are still there."""
        groups: Sequence[object] | None = None
        for rule, (mask, wrong) in zip(self.rules, self._asked.each(batch), strict=True):
            if wrong is not None:
                trouble(wrong)
            if self.by is not By.SPAN and True in mask and False in mask:
                if self.by is By.REQUEST:
                    mask = [True] * len(mask)  # noqa: PLW2901  as a whole
                else:
                    groups = groups or self.groups(batch)
                    hit = set(compress(groups, mask))
                    mask = [group in hit for group in groups]  # noqa: PLW2901
            yield rule, mask

    def groups(self, batch: Batch) -> Sequence[object]:
        """Return for each item what names the group that goes one way with it."""
        if self.by is By.REQUEST:
            return [0] * batch.item_count
        if self.by is By.SPAN:
            return range(batch.item_count)
        return [one or row for row, one in enumerate(batch.column(_TRACE_ID))]

    def _first(self, batch: Batch, trouble: Trouble) -> Routed:
        owners: list[int | None] = [None] * batch.item_count
        free = len(owners)
        for number, (_, mask) in enumerate(self.matches(batch, trouble)):
            if True in mask:
                owners = [number if own is None and hit else own for own, hit in zip(owners, mask, strict=True)]
                free = owners.count(None)
                if not free:
                    break
        routed, rules = Routed(), (*self.rules, self.default)
        if free and self.default.plan:
            owners = [len(self.rules) if own is None else own for own in owners]
        else:
            routed.no_route = free
        if free < len(owners) or self.default.plan:
            for key, part in batch.partition(owners).items():
                if isinstance(key, int):
                    routed.add(rules[key], part)
        return routed

    def _all(self, batch: Batch, trouble: Trouble) -> Routed:
        routed, sent = Routed(), _Sent(batch.item_count)
        for rule, mask in self.matches(batch, trouble):
            sent.add(routed, rule, batch, mask)
        left = [not one for one in sent.matched]
        if True in left:
            if self.default.plan:
                sent.add(routed, self.default, batch, left)
            else:
                routed.no_route = left.count(True)
        routed.sampled = sum(hit and not out for hit, out in zip(sent.matched, sent.reached, strict=True))
        return routed


class _Sent:
    """Who got what, where every rule that matches sends."""

    def __init__(self, items: int) -> None:
        self.matched = [False] * items
        self.reached = [False] * items
        self._by_target: dict[str, set[int]] = {}

    def add(self, routed: Routed, rule: Rule, batch: Batch, mask: Mask) -> None:
        """Send what a rule takes to each of its destinations that did not get it from a rule before."""
        part = batch.copy().select(mask)
        if part is None:
            return
        rows = list(compress(range(len(mask)), mask))
        for row in rows:
            self.matched[row] = True
        routed.taken[rule.id] = len(rows)
        if rule.sampler is not None:
            kept = rule.sampler.sample(part)
            rows, part = list(compress(rows, kept)), part.select(kept)
        if part is None:
            return
        rule.annotate(part)
        for target, arm in rule.plan.deal(part):
            got = self._by_target.setdefault(target.name, set())
            wanted = [row not in got and (arm is None or arm[place]) for place, row in enumerate(rows)]
            own = part.copy().select(wanted)
            if own is not None:
                news = list(compress(rows, wanted))
                got.update(news)
                routed.deliveries.append((target.consumer, own))
        for row in rows:
            self.reached[row] = True


def _compiled(config: RulesConfig, signal: Signal, doors: Doors) -> Iterator[Rule]:
    """Yield the rules that have a destination for the signal, and can be asked of it."""
    for rule in config.in_order():
        actions = rule.actions
        fallback = actions.fallback_destinations or config.fallback_destinations
        plan = doors.plan(rule.id, actions.destinations, fallback, actions.transformations)
        try:
            condition = rule.compile(signal)
        except ConditionError:
            continue
        if plan:
            sampler = sampler_of(actions.sampling or config.sampling, signal)
            yield Rule(rule, condition, plan, sampler, orjson.dumps(actions.metadata) if actions.metadata else b"")


def _with_metadata(value: Value, added: bytes) -> str:
    """Return metadata with what a rule adds; what is no JSON object is kept under a key of its own."""
    if value is None:
        return added.decode()
    try:
        found = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        found = value
    own = found if isinstance(found, dict) else {"metadata": found}
    try:
        return orjson.dumps({**own, **orjson.loads(added)}, default=repr).decode()
    except TypeError:  # JSON may be read deeper than it may be written: it stays the text that it is
        return orjson.dumps({"metadata": str(value), **orjson.loads(added)}).decode()
