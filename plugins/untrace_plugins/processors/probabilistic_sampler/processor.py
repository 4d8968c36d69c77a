"""The probabilistic sampler."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from untrace_pipeline.conditions.values import as_string, parse_float
from untrace_pipeline.data import Batch, Field, Level, Signal, Value, attribute
from untrace_plugins.processors.probabilistic_sampler.config import (
    AttributeSource,
    Mode,
    ProbabilisticSamplerConfig,
)
from untrace_plugins.sampling.hashing import Hasher, randomness_of_hash
from untrace_plugins.sampling.thresholds import (
    ALL_RANDOMNESS,
    ALWAYS,
    NEVER,
    probability_of,
    randomness_of_ids,
    threshold_of,
    threshold_text,
)
from untrace_plugins.sampling.tracestate import Marks, parse_trace_state

__all__ = ["ProbabilisticSampler"]

_TRACE_ID = Field(Level.ITEM, "trace_id")
_TRACE_STATE = Field(Level.ITEM, "trace_state")
_SPAN_PRIORITY = attribute("sampling.priority")
_THRESHOLD = attribute("sampling.threshold")
_RANDOMNESS = attribute("sampling.randomness")
_NO_ID = bytes(16)
_HASH_BUCKETS = 1 << 14
_SMALLEST_RATIO = 1 / NEVER


class ProbabilisticSampler:
    """Keeps items whose randomness reaches a threshold, and writes both onto what it keeps. A pure step."""

    def __init__(self, config: ProbabilisticSamplerConfig) -> None:
        rule = _Rule(config)
        self._samplers: dict[Signal, _SpanSampler | _LogSampler] = {
            Signal.TRACES: _SpanSampler(rule),
            Signal.LOGS: _LogSampler(rule, config),
        }

    def process(self, batch: Batch) -> Batch | None:
        """Return what is kept, or ``None``."""
        if not batch.item_count:
            return batch
        return batch.select(self.sample(batch))

    def sample(self, batch: Batch) -> list[bool]:
        """Return which items are kept, without dropping the others; the marks of the kept ones are written."""
        return self._samplers[batch.signal].sample(batch)


class _Rule:
    """The decision of a mode: where randomness comes from, and which threshold it must reach."""

    def __init__(self, config: ProbabilisticSamplerConfig) -> None:
        percentage = min(_float32(config.sampling_percentage), 100.0)
        buckets = int(_float32(percentage * _float32(_HASH_BUCKETS / 100)))
        ratio = max(percentage / 100, _SMALLEST_RATIO)
        self.hashing = config.mode in {Mode.HASH_SEED, Mode.UNSET}
        self.never = percentage == 0 or (self.hashing and buckets == 0)
        self.precision = config.sampling_precision
        self._buckets = buckets
        self._fallback = NEVER if config.fail_closed else ALWAYS
        self._proportional = ratio if config.mode is Mode.PROPORTIONAL else None
        self._hasher = Hasher(config.hash_seed.to_bytes(4, "little"))
        if self.never:
            self.plain = NEVER
        elif self.hashing:
            self.plain = (_HASH_BUCKETS - buckets) << 42
        else:
            self.plain = self._reduced(ratio)

    def _reduced(self, share: float) -> int:
        threshold = threshold_of(share, self.precision)
        return NEVER if threshold is None else threshold

    def threshold(self, arrived: int | None) -> int:
        """Return the threshold for an item that arrived with that one, if with any."""
        if arrived is None or self.never or self.hashing:
            return self.plain
        if self._proportional is not None:
            return self._reduced(probability_of(arrived) * self._proportional)
        return max(self.plain, arrived)

    def randomness(self, trace_ids: Sequence[bytes]) -> list[int]:
        """Return the randomness of trace ids."""
        if self.hashing:
            return [randomness_of_hash(value) for value in self._hasher.hash_ids(trace_ids)]
        return randomness_of_ids(trace_ids)

    def kept(self, trace_ids: Sequence[bytes]) -> list[tuple[int, int]]:
        """Return place and randomness of the ids that reach the threshold for items that arrived without one."""
        if self.hashing:
            buckets, bits = self._buckets, _HASH_BUCKETS - 1
            hashes = enumerate(self._hasher.hash_ids(trace_ids))
            return [(place, randomness_of_hash(value)) for place, value in hashes if value & bits < buckets]
        values = enumerate(randomness_of_ids(trace_ids))
        return [(place, value) for place, value in values if value >= self.plain]

    def randomness_of_key(self, key: bytes) -> int:
        """Return the randomness of any bytes; only where hashes decide."""
        return randomness_of_hash(self._hasher.hash(key))

    def decide(self, marks: Marks, randomness: int | None, *, valid: bool, forced: int | None) -> tuple[bool, bool]:
        """Return whether an item is kept, and whether its marks are to be written; they are brought up to date.

        ``randomness`` is what its id or attribute gives; ``valid`` says that its marks could be read; ``forced`` is
        the threshold that its priority demands. What cannot be decided is kept or dropped as ``fail_closed`` says.
        """
        writable = valid or self.never
        trouble = not valid
        if self.never:
            randomness = ALL_RANDOMNESS
        elif self.hashing:
            foreign = marks.randomness is not None or marks.threshold is not None
            trouble, writable = trouble or foreign, writable and not foreign
        elif not valid:
            randomness = None
        elif marks.randomness is not None:
            randomness = marks.randomness
        trouble = trouble or randomness is None
        if not trouble and marks.threshold is not None and randomness is not None and marks.threshold > randomness:
            marks.clear_threshold()
            trouble = True
        threshold = self._fallback if trouble else self.threshold(marks.threshold)
        if forced is not None:
            threshold = forced
        kept = threshold <= (ALL_RANDOMNESS if randomness is None else randomness)
        if kept and writable:
            marks.raise_threshold(threshold)
        return kept, writable


class _SpanSampler:
    """Spans carry their marks in tracestate."""

    def __init__(self, rule: _Rule) -> None:
        self._rule = rule

    def sample(self, batch: Batch) -> list[bool]:
        """Return which spans are kept; their tracestate is rewritten."""
        ids, states, priorities = batch.columns([_TRACE_ID, _TRACE_STATE, _SPAN_PRIORITY])
        special = [
            row
            for row, (trace_id, state, priority) in enumerate(zip(ids, states, priorities, strict=True))
            if state or priority is not None or not trace_id or trace_id == _NO_ID
        ]
        written = self._sample_plain(ids, special)
        kept = [False] * len(ids)
        for row in special:
            kept[row], text = self._sample_one(ids[row], states[row], priorities[row])
            if text is not None:
                written[row] = text
        for row in written:
            kept[row] = True
        if written:
            batch.set(_TRACE_STATE, list(written.values()), list(written))
        return kept

    def _sample_plain(self, ids: Sequence[Value], special: Sequence[int]) -> dict[int, Value]:
        """Decide spans that carry nothing but an id, all at once; returns the tracestate of those that are kept."""
        rule = self._rule
        if rule.never or len(special) == len(ids):
            return {}
        others = set(special)
        rows = [row for row in range(len(ids)) if row not in others] if special else range(len(ids))
        mark = threshold_text(rule.plain)
        kept = rule.kept([ids[row] for row in rows])  # type: ignore[misc]
        if rule.hashing:
            return {rows[place]: f"ot=rv:{value:014x};th:{mark}" for place, value in kept}
        text = f"ot=th:{mark}"
        return {rows[place]: text for place, _ in kept}

    def _sample_one(self, trace_id: Value, text: Value, priority: Value) -> tuple[bool, str | None]:
        state, valid = parse_trace_state(text if isinstance(text, str) else "")
        rule = self._rule
        known = isinstance(trace_id, bytes) and trace_id not in {b"", _NO_ID}
        randomness = rule.randomness([trace_id])[0] if known else None  # type: ignore[list-item]
        unmarked = state.randomness is None and state.threshold is None
        if rule.hashing and not rule.never and valid and unmarked:
            kept, writable = rule.decide(state, randomness, valid=True, forced=_span_priority(priority))
            state.set_randomness(ALL_RANDOMNESS if randomness is None else randomness)
        else:
            kept, writable = rule.decide(state, randomness, valid=valid, forced=_span_priority(priority))
        return kept, str(state) if kept and writable else None


def _span_priority(priority: Value) -> int | None:
    """Return the threshold that ``sampling.priority`` demands: 0 drops, more keeps, anything else says nothing."""
    if isinstance(priority, str):
        priority = parse_float(priority)
    if isinstance(priority, bool) or not isinstance(priority, int | float):
        return None
    return NEVER if priority == 0 else ALWAYS if priority > 0 else None


class _LogSampler:
    """Log records carry their marks in the attributes ``sampling.randomness`` and ``sampling.threshold``."""

    def __init__(self, rule: _Rule, config: ProbabilisticSamplerConfig) -> None:
        self._rule = rule
        self._by_trace = config.attribute_source is AttributeSource.TRACE_ID or not rule.hashing
        self._key = attribute(config.from_attribute) if config.from_attribute and rule.hashing else None
        self._priority = attribute(config.sampling_priority) if config.sampling_priority else None

    def sample(self, batch: Batch) -> list[bool]:
        """Return which records are kept; their attributes are written."""
        rows = batch.item_count
        fields = [_TRACE_ID, _RANDOMNESS, _THRESHOLD, *[one for one in (self._key, self._priority) if one is not None]]
        columns = dict(zip(fields, batch.columns(fields), strict=True))
        randomness = self._randomness(columns[_TRACE_ID], columns.get(self._key) if self._key else None)
        priorities = columns[self._priority] if self._priority is not None else [None] * rows
        kept = [False] * rows
        marks: dict[int, Marks] = {}
        per_row = zip(randomness, columns[_RANDOMNESS], columns[_THRESHOLD], priorities, strict=True)
        for row, values in enumerate(per_row):
            kept[row], mark = self._sample_one(*values)
            if mark is not None:
                marks[row] = mark
        self._write(batch, _RANDOMNESS, {row: mark.randomness_text for row, mark in marks.items()})
        self._write(batch, _THRESHOLD, {row: mark.threshold_text for row, mark in marks.items()})
        return kept

    @staticmethod
    def _write(batch: Batch, field: Field, texts: Mapping[int, str]) -> None:
        known = {row: text for row, text in texts.items() if text}
        if known:
            batch.set(field, list(known.values()), list(known))

    def _randomness(self, ids: Sequence[Value], keys: Sequence[Value] | None) -> list[int | None]:
        """Return the randomness that each record brings by its trace id or its attribute."""
        found: list[int | None] = [None] * len(ids)
        if self._by_trace:
            rows = [row for row, trace_id in enumerate(ids) if trace_id and trace_id != _NO_ID]
            for row, value in zip(rows, self._rule.randomness([ids[row] for row in rows]), strict=True):  # type: ignore[misc]
                found[row] = value
        for row, key in enumerate(keys or ()):
            raw = key if isinstance(key, bytes) else as_string(key).encode("utf-8", "surrogatepass")
            if found[row] is None and raw:
                found[row] = self._rule.randomness_of_key(raw)
        return found

    def _sample_one(
        self, randomness: int | None, arrived: Value, threshold: Value, priority: Value
    ) -> tuple[bool, Marks | None]:
        marks, valid, rule = Marks(), True, self._rule
        if isinstance(threshold, str) and threshold:
            valid = marks.read_threshold(threshold)
        if isinstance(arrived, str) and arrived:
            valid = marks.read_randomness(arrived) and valid
        unmarked = marks.randomness is None and marks.threshold is None
        kept, writable = rule.decide(marks, randomness, valid=valid, forced=self._forced(priority))
        if rule.hashing and not rule.never and valid and unmarked and randomness is not None:
            marks.set_randomness(randomness)
        return kept, marks if kept and writable else None

    def _forced(self, priority: Value) -> int | None:
        """Return the threshold of the share that a record asks for itself, in percent."""
        if isinstance(priority, bool) or not isinstance(priority, int | float) or priority == 0:
            return None
        return threshold_of(priority / 100, self._rule.precision)


def _float32(value: float) -> float:
    """Return a number in the precision in which the Collector holds percentages."""
    rounded: float = struct.unpack("<f", struct.pack("<f", min(value, 1e38)))[0]
    return rounded
