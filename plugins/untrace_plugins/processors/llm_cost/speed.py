"""How fast a call was answered: tokens per second, and the time until the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from untrace_pipeline.api import Counter
from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.genai import names

__all__ = ["Paces", "add_speed"]

_NANOSECONDS: Final = 1_000_000_000
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


Paces: TypeAlias = tuple[Sequence[int], Sequence[int], Sequence[Value], Sequence[Value]]
"""Columns: start and end, tokens of output, and time to first chunk, as they stand on the spans."""


def add_speed(batch: Batch, rows: Sequence[int], paces: Paces, invalid: Counter) -> None:
    """Add output tokens per second of the span's duration, and time to first chunk where an event tells it.

    ``rows`` are the calls that count. Spans that end before they start have neither, and are counted.
    """
    starts, ends, outputs, firsts = paces
    speeds: dict[int, Value] = {}
    backwards = 0
    for row, start, end, output in zip(rows, starts, ends, outputs, strict=True):
        duration = end - start
        if duration < 0:
            backwards += 1
        elif duration and isinstance(output, int | float) and output > 0:
            speeds[row] = output * _NANOSECONDS / duration
    if backwards:
        invalid.add(backwards)
    if speeds:
        batch.set(_SPEED, [*speeds.values()], [*speeds])
    if batch.row_count(Level.EVENT):
        unknown = {row: start for row, start, first in zip(rows, starts, firsts, strict=True) if first is None}
        _add_first_chunk(batch, unknown)


def _add_first_chunk(batch: Batch, starts: dict[int, int]) -> None:
    """Set the time to first chunk of the spans whose start is given and that have an event for it."""
    found: dict[int, float] = {}
    names_, times = batch.columns(_EVENTS)
    for row, name, time in zip(batch.parents(Level.EVENT, Level.ITEM), names_, times, strict=True):
        if name in _CHUNKS and row in starts and row not in found:
            found[row] = (time - starts[row]) / _NANOSECONDS  # type: ignore[operator]
    sensible = {row: seconds for row, seconds in found.items() if seconds >= 0}
    if sensible:
        batch.set(_FIRST_CHUNK, [*sensible.values()], [*sensible])
