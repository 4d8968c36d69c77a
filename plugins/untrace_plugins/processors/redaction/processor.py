"""Redaction of batches: which rows are looked at, and writing what changes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property, lru_cache
from itertools import groupby
from operator import itemgetter

from untrace_pipeline.api import Settings
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Found, Level, Searcher, Signal, Value, attribute
from untrace_plugins.processors.redaction.config import RedactionConfig, Summary
from untrace_plugins.processors.redaction.locate import LAYOUTS, Place, locate
from untrace_plugins.processors.redaction.policy import Policy
from untrace_plugins.processors.redaction.summary import Changes, Notes, annotate
from untrace_plugins.scanning.scanner import Hit, Suspects, shared_scanner

__all__ = ["Redaction"]

_LEVELS = {
    Signal.TRACES: (Level.RESOURCE, Level.SCOPE, Level.ITEM, Level.EVENT),
    Signal.LOGS: (Level.RESOURCE, Level.SCOPE, Level.ITEM),
    Signal.METRICS: (Level.RESOURCE, Level.SCOPE, Level.ITEM),
}
"""Where the Collector redacts attributes."""
_BODY = Field(Level.ITEM, "body")

_Rows = Sequence[int] | None
"""Rows to look at; ``None`` is all of them."""


def _searcher(patterns: Sequence[str]) -> Searcher | None:
    """Return what finds and replaces exactly these patterns in native code, if there is such a thing."""
    try:
        return _compiled(tuple(patterns))
    except ValueError:
        return None


@lru_cache(maxsize=32)
def _compiled(patterns: tuple[str, ...]) -> Searcher:
    """Compile once for all pipelines."""
    return Searcher(patterns)


class Redaction:
    """A transform with the Collector's results. ``use_hyperscan=False`` scans with RE2.

    Where single values decide, and the codec is native, it names the values that match; elsewhere the raw request is
    scanned for values that may match. What happens to a value is the policy's matter either way.
    """

    def __init__(self, config: RedactionConfig, settings: Settings, *, use_hyperscan: bool = True) -> None:
        summary = config.summary is not Summary.SILENT
        # Allowed values count only in the summary, unless something in them is blocked.
        values = (*config.blocked_values, *(config.allowed_values if summary else ()))
        value_scanner = shared_scanner(values, use_hyperscan=use_hyperscan)
        self._request_scanner = shared_scanner((*values, *config.blocked_key_patterns), use_hyperscan=use_hyperscan)
        searcher = _searcher(config.blocked_values)
        self._policy = Policy(config, value_scanner, searcher, _searcher(values))
        self._summary = summary
        self._level = config.summary
        counts_ignored = summary and (config.ignored_keys or config.ignored_key_patterns)
        self._by_content = bool(config.keeps_all_keys and not config.redact_all_types and not counts_ignored)
        # Where nothing else of an item matters, single values are masked without reading the item.
        self._single_values = not summary and not config.blocked_key_patterns
        self._searcher = searcher if self._by_content and self._single_values else None
        meter = settings.meter
        self._suspect_items = meter.counter("processor_redaction_suspect_items")
        self._masked_values = meter.counter("processor_redaction_masked_values")
        self._removed_attributes = meter.counter("processor_redaction_removed_attributes")
        self._announce(settings, (*values, *config.blocked_key_patterns))

    @cached_property
    def _scans(self) -> bool:
        """Whether scanning a request tells which items have to be read."""
        return self._by_content and not self._request_scanner.unscanned

    def process(self, batch: Batch) -> Batch:
        """Redact every level of a batch."""
        found = batch.search(self._searcher) if self._searcher is not None else None
        if found is not None:
            self._redact_found(batch, found)
            return batch
        data = batch.to_otlp()
        suspects = self._request_scanner.suspects(data, batch.ranges) if self._scans else None
        if suspects is None:
            self._suspect_items.add(batch.item_count)
        elif suspects:
            self._suspect_items.add(len(suspects.items))
        elif batch.signal is not Signal.LOGS:
            return batch
        rest = suspects
        if suspects is not None and self._single_values and batch.signal in LAYOUTS:
            rest = self._redact_single_values(batch, suspects)
        for level in _LEVELS[batch.signal]:
            rows = None if rest is None else _suspect_rows(batch, level, rest)
            if rows is None or rows:
                self._redact(batch, level, rows)
        if batch.signal is Signal.LOGS:
            self._redact_all_bodies(batch, suspects, rest)
        return batch

    # -------------------------------------------------------------- internal

    def _redact(self, batch: Batch, level: Level, rows: _Rows) -> None:
        edits = _Edits(batch)
        repeated = set(batch.repeated_keys(level))
        (found,) = batch.columns([Field(level, ATTRIBUTES)], rows=rows)
        for row, attributes in zip(range(len(found)) if rows is None else rows, found, strict=True):
            if isinstance(attributes, dict) and attributes:
                notes = Notes()
                changes = self._policy.attributes(attributes, notes)
                if row in repeated:
                    edits.replace(level, row, attributes, changes)
                else:
                    edits.add(level, row, changes)
                self._count(notes)
        edits.write()

    def _redact_single_values(self, batch: Batch, suspects: Suspects) -> Suspects:
        """Mask the values that the hits lie in; return what has to be read to decide."""
        data, layout = batch.to_otlp(), LAYOUTS[batch.signal]
        starts, stops = batch.ranges()
        rest: dict[int, Sequence[Hit]] = {}
        edits = _Edits(batch)
        for item, hits in suspects.items.items():
            ends = [end for end, _ in hits]
            places = locate(data, starts[item], stops[item], ends, layout) if ends else None
            if places is None:
                rest[item] = hits
                continue
            for place in places:
                begin, stop = place.start, place.stop
                within = hits[bisect_right(ends, begin) : bisect_right(ends, stop)]
                candidates = {number: end - begin for end, number in within}
                new = self._policy.text(place.key, data[begin:stop], candidates)
                if new is not None:
                    edits.add_place(item, place, new)
                    self._masked_values.add()
        edits.write()
        return Suspects(rest, suspects.outside)

    def _redact_found(self, batch: Batch, found: Found) -> None:
        """Mask values that are known to match."""
        data = batch.to_otlp()
        hidden = set(found.hidden)
        for level in _LEVELS[batch.signal] if hidden else ():
            rows = sorted(row for at, row in hidden if at is level)
            if rows:
                self._redact(batch, level, rows)
        masked = 0
        for level, places in groupby(found.places, key=itemgetter(0)):
            columns: dict[str | None, dict[int, Value]] = {}
            for _, row, key, start, stop in places:
                new = self._policy.text(key, data[start:stop]) if not hidden or (level, row) not in hidden else None
                if new is not None:
                    columns.setdefault(key, {})[row] = new
            for key, column in columns.items():
                batch.set(_BODY if key is None else attribute(key, level), list(column.values()), list(column))
                masked += len(column)
        if found.bodies:
            rows = [row for row, _ in found.bodies]
            bodies = batch.columns([_BODY], rows=rows)[0]
            self._redact_bodies(batch, dict(zip(rows, bodies, strict=True)), {row for row, hit in found.bodies if hit})
        if masked:
            self._masked_values.add(masked)
        if found.places or found.hidden:
            self._suspect_items.add(_count_items(batch, found))

    def _redact_all_bodies(self, batch: Batch, suspects: Suspects | None, rest: Suspects | None) -> None:
        """Redact the bodies that have to be read; ``rest`` are the suspects that were not already looked at."""
        bodies = dict(enumerate(batch.column(_BODY)))
        hits = set(bodies if suspects is None else suspects.items)
        if rest is not None:
            # A number or a nested value is checked in its text, which is not in the request.
            bodies = {
                row: body for row, body in bodies.items() if row in rest.items or not isinstance(body, str | None)
            }
        self._redact_bodies(batch, bodies, hits)

    def _redact_bodies(self, batch: Batch, bodies: Mapping[int, Value], hits: AbstractSet[int]) -> None:
        """Redact bodies of log records by row; they are summed up in the attributes of their record.

        In the rows of ``hits`` something may match that is not in the body as it was read.
        """
        changed: dict[int, Value] = {}
        summaries: dict[int, Notes] = {}
        for row, before in bodies.items():
            body, notes = self._policy.body(before)
            self._count(notes)
            # What a repeated key hides within a map is gone when it is written anew.
            if body is not before or (row in hits and isinstance(body, list | dict)):
                changed[row] = body
            if self._summary:
                summaries[row] = notes
        if changed:
            batch.set(_BODY, list(changed.values()), list(changed))
        if summaries:
            self._sum_up_bodies(batch, summaries)

    def _sum_up_bodies(self, batch: Batch, summaries: dict[int, Notes]) -> None:
        edits = _Edits(batch)
        (found,) = batch.columns([Field(Level.ITEM, ATTRIBUTES)], rows=list(summaries))
        for (row, notes), attributes in zip(summaries.items(), found, strict=True):
            changes: dict[str, Value] = {}
            present = attributes if isinstance(attributes, dict) else {}
            annotate(self._level, notes, present, changes, "redaction.body.")
            edits.add(Level.ITEM, row, changes)
        edits.write()

    def _count(self, notes: Notes) -> None:
        if notes.masked:
            self._masked_values.add(len(notes.masked))
        if notes.redacted:
            self._removed_attributes.add(len(notes.redacted))

    def _announce(self, settings: Settings, patterns: Sequence[str]) -> None:
        scanner = self._request_scanner
        if self._searcher is not None:
            return
        if scanner.engine == "re2":
            settings.logger.warning(
                "Hyperscan is not installed; RE2 scans instead, which takes about four times as long"
            )
        for number, reason in scanner.unscanned.items():
            settings.logger.info(
                "pattern %r is tried on every value, it cannot be scanned for: %s", patterns[number], reason
            )


def _suspect_rows(batch: Batch, level: Level, suspects: Suspects) -> _Rows:
    if level in (Level.RESOURCE, Level.SCOPE):
        return None if suspects.outside else ()
    if level is Level.ITEM or not suspects.items:
        return list(suspects.items)
    return [row for row, item in enumerate(batch.parents(level, Level.ITEM)) if item in suspects.items]


def _count_items(batch: Batch, found: Found) -> int:
    """Return how many items have a value that matches."""
    rows = {(level, row) for level, row, *_ in found.places}.union(found.hidden)
    items = {row for level, row in rows if level is Level.ITEM}
    events = [row for level, row in rows if level is Level.EVENT]
    if events:
        parents = batch.parents(Level.EVENT, Level.ITEM)
        items.update([parents[row] for row in events])
    return len(items)


class _Edits:
    """Collects changes row by row and sets them column by column."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._whole: dict[Level, dict[int, Value]] = {}
        self._single: dict[Level, dict[str, dict[int, Value]]] = {}
        self._bodies: dict[int, Value] = {}
        self._event_items: Sequence[int] | None = None

    def add(self, level: Level, row: int, changes: Changes) -> None:
        columns = self._single.setdefault(level, {})
        for key, value in changes.items():
            column = columns.get(key)
            if column is None:
                column = columns[key] = {}
            column[row] = value

    def replace(self, level: Level, row: int, attributes: Mapping[str, Value], changes: Changes) -> None:
        """Set the whole map, so that of repeated keys only the first, which was looked at, remains."""
        changed = {**attributes, **changes}
        whole = {key: value for key, value in changed.items() if value is not None or key not in changes}
        self._whole.setdefault(level, {})[row] = whole

    def add_place(self, item: int, place: Place, value: str) -> None:
        if place.key is None:
            self._bodies[item] = value
        elif place.level is Level.EVENT:
            if self._event_items is None:
                self._event_items = self._batch.parents(Level.EVENT, Level.ITEM)
            first = bisect_left(self._event_items, item)
            self.add(Level.EVENT, first + place.event, {place.key: value})
        else:
            self.add(Level.ITEM, item, {place.key: value})

    def write(self) -> None:
        for level, rows in self._whole.items():
            self._set(Field(level, ATTRIBUTES), rows)
        for level, columns in self._single.items():
            for key, rows in columns.items():
                self._set(attribute(key, level), rows)
        if self._bodies:
            self._set(_BODY, self._bodies)

    def _set(self, field: Field, column: Mapping[int, Value]) -> None:
        self._batch.set(field, list(column.values()), list(column))
