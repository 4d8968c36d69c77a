"""How fast a call was answered: tokens per second, and the time until the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from untrace_pipeline.api import Counter
from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.genai import names

__all__ = ["add_speed"]

_NANOSECONDS: Final = 1_000_000_000
_START: Final = Field(Level.ITEM, "start_time_unix_nano")
_END: Final = Field(Level.ITEM, "end_time_unix_nano")
_OUTPUT: Final = attribute(names.USAGE_OUTPUT)
_FIRST_CHUNK: Final = attribute(names.RESPONSE_TIME_TO_FIRST_CHUNK)
_SPEED: Final = attribute(names.TOKENS_PER_SECOND)
_EVENTS: Final = (Field(Level.EVENT, "name"), Field(Level.EVENT, "time_unix_nano"))
_CHUNKS: Final = frozenset(
    {
        "First Token Stream Event",  # OpenInference
        "ai.stream.firstChunk",  # Vercel AI SDK
        "gen_ai.content.completion.chunk",  # OpenLLMetry, one per chunk
        "llm.content.completion.chunk",
        "mlflow.chunk.item.0",
    }
)


def add_speed(batch: Batch, rows: Sequence[int], invalid: Counter) -> None:
    """Add output tokens per second of the span's duration, and time to first chunk where an event tells it.

    ``rows`` are the calls that count. Spans that end before they start have neither, and are counted.
    """
    starts, ends, outputs, firsts = batch.columns([_START, _END, _OUTPUT, _FIRST_CHUNK], Level.ITEM, rows)
    durations = [end - start for start, end in zip(starts, ends, strict=True)]  # type: ignore[operator]
    backwards = sum(duration < 0 for duration in durations)
    if backwards:
        invalid.add(backwards)
    speeds = {
        row: output * _NANOSECONDS / duration
        for row, duration, output in zip(rows, durations, outputs, strict=True)
        if duration > 0 and isinstance(output, int | float) and output > 0
    }
    if speeds:
        batch.set(_SPEED, [*speeds.values()], [*speeds])
    if batch.row_count(Level.EVENT):
        unknown = {row: start for row, start, first in zip(rows, starts, firsts, strict=True) if first is None}
        _add_first_chunk(batch, unknown)


def _add_first_chunk(batch: Batch, starts: dict[int, Value]) -> None:
    """Set the time to first chunk of the spans whose start is given and that have an event for it."""
    found: dict[int, float] = {}
    names_, times = batch.columns(_EVENTS)
    for row, name, time in zip(batch.parents(Level.EVENT, Level.ITEM), names_, times, strict=True):
        if name in _CHUNKS and row in starts and row not in found:
            found[row] = (time - starts[row]) / _NANOSECONDS  # type: ignore[operator]
    sensible = {row: seconds for row, seconds in found.items() if seconds >= 0}
    if sensible:
        batch.set(_FIRST_CHUNK, [*sensible.values()], [*sensible])
