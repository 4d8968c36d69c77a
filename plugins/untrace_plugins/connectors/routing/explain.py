"""Which rule takes what and why, which does not and why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from untrace_pipeline.api import Answer, Asked, Explanation
from untrace_pipeline.conditions import Part, explain_condition, locate_core
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_plugins.connectors.routing.rules import DEFAULT, Rule, SignalRules
from untrace_plugins.connectors.routing.rules_config import By, Match, RuleConfig

__all__ = ["explain"]

_NAMES = {
    Signal.TRACES: Field(Level.ITEM, "name"),
    Signal.LOGS: Field(Level.ITEM, "event_name"),
    Signal.METRICS: Field(Level.METRIC, "name"),
}
_UNNAMED = {Signal.TRACES: "span", Signal.LOGS: "log record", Signal.METRICS: "data point"}
_TRACE_ID = Field(Level.ITEM, "trace_id")


def explain(rules: SignalRules, batch: Batch) -> Iterator[Explanation]:
    """Yield what becomes of each group of items that goes one way."""
    if not batch.item_count:
        return
    asking = _Asking(rules, batch)
    groups: dict[object, list[int]] = {}
    for row, group in enumerate(rules.groups(batch)):
        groups.setdefault(group, []).append(row)
    for rows in groups.values():
        yield asking.explanation(rows)


class _Asking:
    """Everything that was asked about one batch."""

    def __init__(self, rules: SignalRules, batch: Batch) -> None:
        self._rules = rules
        self._batch = batch
        self._masks = {rule.id: mask for rule, mask in rules.matches(batch, lambda _trouble: None)}
        self._by_id = {rule.id: rule for rule in rules.rules}
        self._parts = {rule.id: _parts(rule, batch) for rule in rules.rules}
        self._names = [str(name) if name else _UNNAMED[batch.signal] for name in _column(batch)]
        self._targets = {rule.id: _targets(rule, batch) for rule in (*rules.rules, rules.default)}
        self._kept = {rule.id: _kept(rule, batch) for rule in (*rules.rules, rules.default)}

    def explanation(self, rows: Sequence[int]) -> Explanation:
        """Return what becomes of the items of one group."""
        matching = [name for name, mask in self._masks.items() if mask[rows[0]]]
        taking = matching if self._rules.config.match is Match.ALL else matching[:1]
        ends: dict[str, None] = {}
        words = []
        for name in taking or [DEFAULT]:
            kept, targets = self._kept[name][rows[0]], self._targets[name][rows[0]]
            ends |= dict.fromkeys(targets if kept else ())
            words.append(self._outcome(name, targets, kept=kept))
        asked = [self._asked(rule, rows, taking) for rule in self._in_order()]
        names = [self._names[row] for row in rows]
        return Explanation(self._subject(rows), names, taking, list(ends), "; ".join(words), asked)

    def _in_order(self) -> list[RuleConfig]:
        """Return all rules as they would be asked, with those that are disabled."""
        return sorted(self._rules.config.rules, key=lambda rule: -rule.priority)

    def _outcome(self, name: str, targets: Sequence[str], *, kept: bool) -> str:
        word = "no rule matches" if name == DEFAULT else f"rule {name}"
        if not targets:
            return f"{word}: dropped, there are no default destinations"
        if not kept:
            return f"{word}: sampled out"
        rule = self._by_id.get(name)
        transformations = rule.config.actions.transformations if rule is not None and rule.config is not None else ()
        through = f" through {', '.join(transformations)}" if transformations else ""
        return f"{word} → {', '.join(targets)}{through}"

    def _subject(self, rows: Sequence[int]) -> str:
        batch, by = self._batch, self._rules.by
        if by is By.REQUEST:
            return "request"
        name = self._names[rows[0]]
        if batch.signal is Signal.METRICS:
            return f"data point of {name}"
        trace_id = batch.columns([_TRACE_ID], rows=[rows[0]])[0][0]
        shown = trace_id.hex() if isinstance(trace_id, bytes) and trace_id else "none"
        return f"trace {shown}" if by is By.TRACE else f"{_UNNAMED[batch.signal]} {name} of trace {shown}"

    def _asked(self, rule: RuleConfig, rows: Sequence[int], taking: Sequence[str]) -> Asked:
        if not rule.enabled:
            return Asked(rule.id, "disabled")
        if rule.id not in self._masks:
            return Asked(
                rule.id, "not asked", f"it has no destination for {self._batch.signal}, or cannot be asked of them"
            )
        parts = self._parts[rule.id]
        row = _telling(parts, rows)
        answers = [Answer(part.text, part.holds[row], part.found[row], part.depth, part.has_field) for part in parts]
        where = f"{_UNNAMED[self._batch.signal]} {self._names[row]}"
        if rule.id in taking:
            return Asked(rule.id, "taken", where, answers)
        if self._masks[rule.id][rows[0]]:
            return Asked(rule.id, "matched", f"{taking[0]} had taken it", answers)
        return Asked(rule.id, "not matched", where, answers)


def _parts(rule: Rule, batch: Batch) -> list[Part]:
    assert rule.config is not None
    sources = rule.config.conditions.sources()
    if not sources:
        size = batch.item_count
        return [Part("everything", 0, [True] * size, [None] * size)]
    return [part for source in sources for part in explain_condition(source, batch, locate_core)]


def _telling(parts: Sequence[Part], rows: Sequence[int]) -> int:
    """Return the row that says most: the one for which most of the conditions hold."""
    return max(rows, key=lambda row: sum(part.holds[row] is True for part in parts if part.depth == 0))


def _column(batch: Batch) -> list[object]:
    return list(batch.column(_NAMES[batch.signal], Level.ITEM))


def _targets(rule: Rule, batch: Batch) -> list[list[str]]:
    """Return for each item the destinations that the rule would send it to."""
    found: list[list[str]] = [[] for _ in range(batch.item_count)]
    for target, mask in rule.plan.deal(batch):
        for row, names in enumerate(found):
            if mask is None or mask[row]:
                names.append(target.name)
    return found


def _kept(rule: Rule, batch: Batch) -> list[bool]:
    return [True] * batch.item_count if rule.sampler is None else rule.sampler.sample(batch.copy())
