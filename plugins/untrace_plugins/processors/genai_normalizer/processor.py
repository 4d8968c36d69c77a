"""The genai_normalizer processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from untrace_pipeline.api import Consumer, Host, Settings
from untrace_pipeline.data import Batch, Signal, Value
from untrace_plugins.genai import names
from untrace_plugins.genai.candidates import MARKS, Candidates
from untrace_plugins.genai.chunks import assembled
from untrace_plugins.genai.dialects import DIALECTS
from untrace_plugins.genai.duplicates import Calls, Role, SpanFacts
from untrace_plugins.genai.emit import emit
from untrace_plugins.genai.events import CONTENT_EVENTS, event_content, merged
from untrace_plugins.genai.mapping import custom
from untrace_plugins.genai.names import Form, is_llm_call
from untrace_plugins.genai.normalise import Manner, normalise
from untrace_plugins.genai.sources import attribute_of
from untrace_plugins.genai.spans import Event, Span, error_type, events_of, inherit, links, read_spans, write
from untrace_plugins.genai.values import dump, load
from untrace_plugins.processors.genai_normalizer.config import GenaiNormalizerConfig, SourceName
from untrace_plugins.processors.genai_normalizer.events import EventStore, SpanKey, shared_store
from untrace_plugins.processors.genai_normalizer.logs import normalise_logs, store_content
from untrace_plugins.processors.genai_normalizer.meters import Meters

__all__ = ["GenaiNormalizer"]

_CONTEXT = ("session.id", "user.id")
"""Keys of spans that others inherit from without being of an LLM themselves."""
_CHUNK = "mlflow.chunk.item."


class GenaiNormalizer:
    """Normalises LLM spans, marks duplicates, emits; log records get canonical names, and may be kept to be joined."""

    def __init__(self, config: GenaiNormalizerConfig, settings: Settings, next: Consumer) -> None:
        self._config = config
        self._next = next
        self._meters = Meters(settings.meter)
        self._manner = _manner(config)
        sources = [attribute_of(source) for source in _all_mappings(config)]
        self._spans = Candidates((*MARKS, *(_CONTEXT if config.inherit else ()), *sources))
        self._records = Candidates(("gen_ai.",))
        self._calls = Calls(config.remembered_spans)
        self._store: EventStore | None = None
        if config.join_events is not None:
            self._store = shared_store(str(settings.id), self, config.join_events.max_age, config.join_events.max_bytes)
            self._store.lost = self._meters.lost
            store = self._store
            self._meters.waiting.observe_with(lambda: store.byte_size)

    async def start(self, host: Host) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Let go of content that waits for spans."""
        if self._store is not None:
            self._store.leave(self)

    async def consume(self, batch: Batch) -> None:
        """Normalise and pass on; with ``join_events.wait`` after the content of the spans has come, or did not."""
        if batch.signal is Signal.TRACES:
            rows = self._spans(batch)
            if rows:
                await self._traces(batch, rows)
        elif batch.signal is Signal.LOGS:
            self._logs(batch)
        await self._next.consume(batch)

    async def _traces(self, batch: Batch, rows: Sequence[int]) -> None:
        spans = read_spans(batch, rows)
        events = events_of(batch, {span.row for span in spans if self._needs_events(span)})
        joined = await self._joined(spans, events) if self._store is not None else {}
        for span in spans:
            self._normalise(span, events.get(span.row, ()), joined.get(span.row, {}))
        if self._config.inherit:
            inherit(spans)
        if self._config.mark_duplicates:
            self._mark(batch, spans)
        duplicates = sum(span.changes.get(names.DUPLICATE) is True for span in spans)
        if duplicates:
            self._meters.duplicates.add(duplicates)
        if self._config.emit is not Form.AS_IS:
            for span in spans:
                if span.dialect:
                    span.changes |= emit(self._config.emit, span.attributes(), span.start, span.end)
        write(batch, spans)

    def _needs_events(self, span: Span) -> bool:
        """Return whether events of a span say what its attributes do not: errors, chunks of a stream, content."""
        if self._store is not None or "mlflow.spanType" in span.given:
            return True
        return span.failed and names.ERROR_TYPE not in span.given

    async def _joined(self, spans: Sequence[Span], events: dict[int, list[Event]]) -> dict[int, dict[str, Value]]:
        """Return what events have for spans without content of their own."""
        store, options = self._store, self._config.join_events
        assert store is not None
        assert options is not None
        found: dict[int, dict[str, Value]] = {}
        missing: dict[SpanKey, Span] = {}
        for span in spans:
            own = [event for event in events.get(span.row, ()) if event.name in CONTENT_EVENTS]
            if own:
                found[span.row] = merged(event_content(event.name, None, event.attributes) for event in own)
            elif span.given.get(names.OUTPUT_MESSAGES) is None and is_llm_call(span.operation()):
                missing[span.trace_id, span.span_id] = span
        if options.wait:
            await store.wait([key for key, span in missing.items() if span.has_answer()], options.wait)
        for key, span in missing.items():
            if contents := store.get(key):
                found[span.row] = merged(contents)
        if found:
            self._meters.joined.add(len(found))
        return found

    def _normalise(self, span: Span, events: Sequence[Event], joined: dict[str, Value]) -> None:
        given, added = span.given, {key: value for key, value in joined.items() if span.given.get(key) is None}
        if added:
            given = {**given, **added}
        chunks = [load(event.attributes.get("mlflow.chunk.value")) for event in events if event.name.startswith(_CHUNK)]
        if chunks and (whole := assembled(chunks)) is not None:
            given = {**given, "mlflow.spanOutputs": dump(whole)}
        error = error_type(events) if span.failed else None
        changes = normalise(given, self._manner, start=span.start, error=error)
        span.changes = {**added, **changes.values} if added else changes.values
        if changes.dialect:
            span.dialect = changes.dialect
            self._meters.spans(changes.dialect).add()
        if changes.malformed:
            self._meters.malformed(changes.dialect).add(len(changes.malformed))

    def _mark(self, batch: Batch, spans: Sequence[Span]) -> None:
        """Mark calls that another span counts for; spans between calls are needed to see which lies beneath which."""
        facts = [span.facts() for span in spans]
        traces = {fact.trace_id for fact in facts if fact.role is Role.CALL}
        known = [fact for fact in facts if fact.trace_id in traces]
        if not known:
            return
        owners = {(span.trace_id, span.span_id): span for span in spans}
        if len(spans) < batch.item_count:
            known += [
                SpanFacts(trace_id, span_id, parent_id, Role.BETWEEN)
                for trace_id, span_id, parent_id in links(batch)
                if trace_id in traces and (trace_id, span_id) not in owners
            ]
        for fact, is_duplicate in zip(known, self._calls.duplicates(known), strict=True):
            if is_duplicate:
                owners[fact.trace_id, fact.span_id].changes[names.DUPLICATE] = True

    def _logs(self, batch: Batch) -> None:
        rows = self._records(batch)
        if rows:
            if self._store is not None:
                store_content(batch, rows, self._store)
            normalise_logs(batch, rows, self._manner)


def _all_mappings(config: GenaiNormalizerConfig) -> dict[str, str]:
    found = dict(config.mappings)
    for source in config.sources.values():
        found |= source.custom_mappings
    return found


def _manner(config: GenaiNormalizerConfig) -> Manner:
    """Return what the options mean for reading; mappings of users come before the dialects."""
    read = set(config.sources) or set(SourceName)
    own = []
    if config.mappings:
        own.append(custom("custom", config.mappings, overwrite=config.overwrite))
    for name, source in config.sources.items():
        if source.custom_mappings:
            own.append(custom(name, source.custom_mappings, overwrite=source.overwrite or config.overwrite))

    def named(option: Callable[[SourceName], bool], everywhere: bool) -> frozenset[str]:
        return frozenset(str(name) for name in SourceName if everywhere or option(name))

    sources = config.sources
    return Manner(
        dialects=(*own, *(dialect for dialect in DIALECTS if dialect.name in read)),
        overwrites=named(lambda name: name in sources and sources[name].overwrite, config.overwrite),
        removes=named(lambda name: name in sources and sources[name].remove_originals, config.remove_originals),
    )
