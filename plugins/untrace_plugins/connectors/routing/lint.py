"""Finds rules that work, and are probably not meant: that can never match, hide behind others, or ask for a field by a
name that is nearly right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from untrace_pipeline.api import Remark
from untrace_pipeline.conditions import ConditionSource, core_name
from untrace_pipeline.conditions.core_fields import FIELDS
from untrace_pipeline.data import Signal
from untrace_plugins.connectors.routing.literals import Term, contradiction, implied, terms_of
from untrace_plugins.connectors.routing.rules_config import Match, RuleConfig, RulesConfig, name_of, pipeline_of

__all__ = ["lint"]


_NEARLY = 0.79
"""How alike two names are, of 1, for one to be a slip of the other; `name` and `model` are not."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A rule that can match, and when."""

    rule: RuleConfig
    terms: Sequence[Term]

    @property
    def takes_all(self) -> bool:
        return frozenset() in self.terms


def lint(rules: RulesConfig) -> Iterator[Remark]:
    """Yield what is doubtful, by the place of the rule."""
    places = {rule.id: place for place, rule in enumerate(rules.rules)}
    for rule in rules.rules:
        if not rule.enabled:
            yield Remark(f"rules.{places[rule.id]}.enabled", f"rule {rule.id} is disabled")
        for field, meant in _slips(rule.conditions.source()):
            message = f"rule {rule.id} asks for {field}, which no trace has; did you mean {meant}?"
            yield Remark(f"rules.{places[rule.id]}.conditions", message)
    before: list[_Known] = []
    for rule in rules.in_order():
        where = f"rules.{places[rule.id]}.conditions"
        terms = terms_of(rule.conditions.source())
        if terms is None:
            continue
        reasons = [contradiction(term) for term in terms]
        if all(reasons):
            yield Remark(where, f"rule {rule.id} can never match: {reasons[0]}")
            continue
        known = _Known(rule, [term for term, why in zip(terms, reasons, strict=True) if not why])
        if rules.match is Match.FIRST:
            if hiding := _hiding(known, before):
                message = f"rule {rule.id} can never match: {_names(hiding)} {'takes' if len(hiding) == 1 else 'take'}"
                yield Remark(where, f"{message} all of it before")
            before.append(known)
    yield from _unreached_default(rules, before)


def _slips(source: ConditionSource) -> Iterator[tuple[str, str]]:
    """Yield fields that are looked for under their own name, where one of LLM calls is called nearly so."""
    if isinstance(source, str):
        return
    for inner in (*(source.all or ()), *(source.any or ()), *([source.not_] if source.not_ is not None else ())):
        yield from _slips(inner)
    name = core_name(source.field or "")
    if name.isidentifier() and name not in FIELDS:
        for meant in get_close_matches(name, FIELDS, n=1, cutoff=_NEARLY):
            yield name, meant


def _hiding(later: _Known, before: Sequence[_Known]) -> list[str]:
    """Return the rules that take everything that a later one could; nothing if something is left for it."""
    hiding: dict[str, None] = {}
    for term in later.terms:
        found = next((one for one in before if _covers(one.rule, later.rule) and _takes(one, term)), None)
        if found is None:
            return []
        hiding[found.rule.id] = None
    return list(hiding)


def _takes(earlier: _Known, term: Term) -> bool:
    return any(implied(term, weaker) for weaker in earlier.terms)


def _covers(earlier: RuleConfig, later: RuleConfig) -> bool:
    return _signals(later) <= _signals(earlier)


def _signals(rule: RuleConfig) -> set[Signal]:
    names = [name_of(one) for one in rule.actions.destinations]
    return {signal for signal in Signal if any(pipeline_of(name, signal) is not None for name in names)}


def _unreached_default(rules: RulesConfig, before: Sequence[_Known]) -> Iterator[Remark]:
    if not rules.default_destinations:
        return
    wanted = {s for one in rules.default_destinations for s in Signal if pipeline_of(name_of(one), s) is not None}
    for one in before:
        if one.takes_all and wanted <= _signals(one.rule):
            yield Remark("default_destinations", f"nothing is left for them: rule {one.rule.id} takes everything")
            return


def _names(ids: Sequence[str]) -> str:
    return ("rule " if len(ids) == 1 else "the rules ") + ", ".join(ids)
