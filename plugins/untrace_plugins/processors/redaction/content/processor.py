"""Redaction of what detectors find: the way of a batch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from untrace_pipeline.api import Settings
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value, attribute
from untrace_plugins.processors.redaction.config import RedactionConfig, Summary
from untrace_plugins.processors.redaction.confirm import Pattern
from untrace_plugins.processors.redaction.content.assemble import detectors_of, treatment_of
from untrace_plugins.processors.redaction.content.frames import Frame, splice
from untrace_plugins.processors.redaction.content.known_keys import KnownKeys
from untrace_plugins.processors.redaction.content.request import Request
from untrace_plugins.processors.redaction.content.search import Search
from untrace_plugins.processors.redaction.content.walk import walk
from untrace_plugins.processors.redaction.summary import Changes, Notes, annotate

__all__ = ["ContentRedaction"]


class ContentRedaction:
    """A transform over the bytes of a request: codecs are not asked, and what no detector concerns keeps its bytes."""

    def __init__(self, config: RedactionConfig, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._detectors = detectors_of(config)
        self._detectors.ends(b"")  # compiles the patterns now, not when the first request comes
        self._treatment = treatment_of(config)
        allowed = [Pattern(text) for text in config.allowed_values]
        self._keys = KnownKeys(config)
        self._search = Search(self._detectors, allowed, self._keys, whose=self._treatment.rules.need_whose)
        self._masked_values = settings.meter.counter("processor_redaction_masked_values")
        self._suspect_items = settings.meter.counter("processor_redaction_suspect_items")

    def process(self, batch: Batch) -> Batch | None:
        """Return a batch in which everything that was found is treated."""
        data = batch.to_otlp()
        ends = self._detectors.ends(data)
        if ends is not None and not ends:
            return batch
        texts = walk(batch.signal, data, ends, self._keys)
        self._suspect_items.add(len({text.item for text in texts if text.item is not None}))
        request = Request(batch.signal, data, self._search, self._treatment, self._config)
        try:
            request.treat(texts)
        finally:
            self._search.forget()
        self._tell(request)
        return self._changed(batch, data, request) if request.changes or request.dropped else batch

    # --------------------------------------------------------------- internal

    def _changed(self, batch: Batch, data: bytes, request: Request) -> Batch | None:
        """Return the request with its new texts and the summary, without the items that go."""
        new = Batch.decoded(batch.signal, splice(data, request.changes), batch.context, batch.item_count)
        if self._config.summary is not Summary.SILENT:
            self._sum_up(new, _rows(batch, request.touched), list(request.touched.values()))
        if not request.dropped:
            return new
        dropped = set(_rows(batch, request.dropped))
        return new.select([row not in dropped for row in range(new.item_count)])

    def _sum_up(self, batch: Batch, rows: Sequence[int], keys: Sequence[list[str]]) -> None:
        (found,) = batch.columns([Field(Level.ITEM, ATTRIBUTES)], rows=rows)
        columns: dict[str, dict[int, Value]] = {}
        for row, present, masked in zip(rows, found, keys, strict=True):
            changes: Changes = {}
            before = present if isinstance(present, dict) else {}
            annotate(self._config.summary, Notes(masked=masked), before, changes, "redaction.")
            for key, value in changes.items():
                columns.setdefault(key, {})[row] = value
        for key, column in columns.items():
            batch.set(attribute(key), list(column.values()), list(column))

    def _tell(self, request: Request) -> None:
        """Count and log what was done, never what was found."""
        meter = self._settings.meter
        for (detector, action), count in request.counts.items():
            meter.counter("processor_redaction_findings", detector=detector, action=action.value).add(count)
        for (detector, reason), count in request.failures.items():
            meter.counter("processor_redaction_detector_failures", detector=detector).add(count)
            self._settings.logger.warning(
                "detector %s failed on %d texts (%s); on_error is %s",
                *(detector, count, reason, self._config.on_error.value),
            )
        self._masked_values.add(len(request.changes))
        if self._config.audit_log and request.counts:
            told = sorted(f"{detector} {action.value}: {count}" for (detector, action), count in request.counts.items())
            self._settings.logger.info("findings treated: %s", ", ".join(told))


def _rows(batch: Batch, items: Iterable[Frame]) -> list[int]:
    """Return the rows of items; nothing that rows follow from has changed since they were found."""
    starts, _ = batch.ranges()
    return [bisect_left(starts, item.start) for item in items]
