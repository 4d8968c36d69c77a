"""What a platform takes, made of one request: checked, converted, cut to its limits, split."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from untrace_pipeline.api import PermanentError
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.delivery import Prepared, Refused, Request
from untrace_plugins.destinations.edits import Edits
from untrace_plugins.destinations.model import Check
from untrace_plugins.exporters.platform.config import LongValues, PlatformConfig
from untrace_plugins.exporters.platform.content import ContentStore
from untrace_plugins.exporters.platform.encoders import Encoder, make_encoder
from untrace_plugins.exporters.platform.long_values import LongValueCutter, Moved
from untrace_plugins.genai import names
from untrace_plugins.genai.conversion import Conversion
from untrace_plugins.genai.names import Form, is_llm_call

__all__ = ["Preparation"]

LARGE_BYTES = 128 * 1024
"""Larger requests are prepared in a thread, so that the event loop goes on."""
_IDS = [Field(Level.ITEM, name) for name in ("trace_id", "span_id")]
_CALL = [attribute(names.OPERATION), attribute(names.DUPLICATE)]
_TIMES = {Signal.TRACES: "end_time_unix_nano", Signal.METRICS: "time_unix_nano", Signal.LOGS: "time_unix_nano"}


class Preparation:
    """Made once per exporter; may run many times at once."""

    def __init__(
        self,
        config: PlatformConfig,
        store: ContentStore | None,
        encoder: Encoder | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        told, values = config.destination, config.values()
        self._title = told.title
        self._checks = frozenset(told.checks)
        self.limits = told.limits
        """What the platform takes; may be set to what it says itself."""
        self._resource = Edits(told.resource, values)
        spans = Edits(told.spans, values)
        leaves_out = {Check.LLM_ONLY, Check.CALLS_ONLY} & self._checks
        wanted = config.form is not Form.AS_IS or bool(spans) or bool(leaves_out)
        self._convert = Conversion(config.form, spans or None) if wanted else None
        self._encoder = make_encoder(config) if encoder is None else encoder
        cutter = LongValueCutter(told.limits, config.long_values.limit)
        self._cut = None if cutter.idle or config.long_values.policy is LongValues.SEND else cutter
        self._store = store
        self._now = now

    async def __call__(self, request: Request) -> Prepared:
        """Return what to send instead of a request. Raises :class:`RetryableError` if content cannot be moved out."""
        if request.batch.byte_size > LARGE_BYTES:
            prepared, moved = await asyncio.to_thread(self._prepare, request)
        else:
            prepared, moved = self._prepare(request)
        if self._store is not None:
            for one in moved:
                await self._store.put(one.key, one.data)
        return prepared

    def _prepare(self, request: Request) -> tuple[Prepared, list[Moved]]:
        prepared = Prepared([])
        original = self._checked(request.batch, prepared)
        if original is None:
            return prepared, []
        batch = original.copy()
        if batch.signal is Signal.TRACES and self._convert is not None:
            rows = self._wanted(batch, self._convert(batch))
            self._encoder.learn(batch, rows)
            if len(rows) < batch.item_count:
                original = original.copy()
                mask = _mask(rows, batch.item_count)
                prepared.filtered += batch.keep(mask)
                original.keep(mask)
                if not rows:
                    return prepared, []
        if self._resource:
            _edit_resources(batch, self._resource)
        moved = self._cut(batch, self._store) if self._cut is not None else []
        prepared.requests = self._split(request, batch, original)
        return prepared, moved

    def _wanted(self, batch: Batch, llm: Sequence[int]) -> Sequence[int]:
        """Return which spans the platform has a use for, of those that are of an LLM."""
        if Check.CALLS_ONLY in self._checks:
            operations, duplicates = batch.columns(_CALL, rows=llm)
            calls = zip(llm, operations, duplicates, strict=True)
            return [row for row, operation, duplicate in calls if is_llm_call(operation) and duplicate is not True]
        return llm if Check.LLM_ONLY in self._checks else range(batch.item_count)

    def _checked(self, batch: Batch, prepared: Prepared) -> Batch | None:
        """Return what is worth sending, and add the rest to what is refused."""
        wrong = self._wrong(batch)
        if not any(wrong):
            return batch
        parts = batch.copy().partition([reason or "" for reason in wrong])
        for reason, part in parts.items():
            if reason:
                prepared.refused.append(Refused(part, PermanentError(f"not sent to {self._title}: {reason}")))
        return parts.get("")

    def _wrong(self, batch: Batch) -> Sequence[str | None]:
        """Say for each item why the platform would never take it."""
        reasons: list[str | None] = []
        if Check.IDS in self._checks and batch.signal is Signal.TRACES:
            reasons = [_wrong_ids(*ids) for ids in zip(*batch.columns(_IDS), strict=True)]
        if self.limits.age is not None:
            oldest = (self._now() - self.limits.age) * 1e9
            times = batch.column(Field(Level.ITEM, _TIMES[batch.signal]))
            old = [isinstance(moment, int) and 0 < moment < oldest for moment in times]
            reasons = reasons or [None] * len(old)
            reasons = ["too old" if late else why for late, why in zip(old, reasons, strict=True)]
        return reasons

    def _split(self, request: Request, batch: Batch, original: Batch) -> list[Request]:
        limits = self.limits
        parts = batch.split(limits.request_items or 0, limits.request_bytes or 0)
        if len(parts) == 1:
            whole = original.item_count == request.items
            entries = request.entries if whole else ()
            return [Request(parts[0], parts[0].item_count, entries, original=original, prepared=True)]
        counts = [part.item_count for part in parts]
        numbers = [number for number, count in enumerate(counts) for _ in range(count)]
        originals = original.copy().partition(numbers)
        return [
            Request(part, count, original=originals[number], prepared=True)
            for number, (part, count) in enumerate(zip(parts, counts, strict=True))
        ]


def _wrong_ids(trace_id: Value, span_id: Value) -> str | None:
    """Say what is wrong with ids: those of another length than OTLP's cannot be in a batch."""
    for name, value in (("trace id", trace_id), ("span id", span_id)):
        if not isinstance(value, bytes) or not any(value):
            return f"the {name} is absent, or zero"
    return None


def _mask(rows: Sequence[int], count: int) -> list[bool]:
    wanted = set(rows)
    return [row in wanted for row in range(count)]


def _edit_resources(batch: Batch, edits: Callable[[Mapping[str, Value]], Mapping[str, Value]]) -> None:
    for row, attributes in enumerate(batch.column(Field(Level.RESOURCE, ATTRIBUTES))):
        for name, value in edits(attributes if isinstance(attributes, dict) else {}).items():
            batch.set(Field(Level.RESOURCE, ATTRIBUTES, name), [value], [row])
