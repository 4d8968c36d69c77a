"""A store in a directory of its own, and letters for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters import DeadLetterStore, FiledLetter, LetterFilter, Limits
from untrace_pipeline.delivery.storage import DeadLetter
from untrace_pipeline.testing import RecordingMeter, make_batch, make_settings

MEBIBYTE = 1024 * 1024
NOW = 1_800_000_000.0


def letter(number: int = 0, **told: Any) -> DeadLetter:
    """Return a letter of ten spans; what is told wins."""
    payload = told.pop("payload", None) or make_batch(Signal.TRACES, 10, seed=number).to_otlp()
    fixed: dict[str, Any] = {
        "exporter": "otlp_http/backend",
        "destination": "localhost:4318",
        "reason": "permanent",
        "code": "INVALID_ARGUMENT",
        "message": f"HTTP 400: no. {number}",
        "attempts": 1,
        "failed_at": NOW + number,
        "received_at": NOW - 1,
        "signal": Signal.TRACES,
        "items": 10,
        "payload": payload,
        "key": f"key-{number}",
    }
    return DeadLetter(**(fixed | told))


def incompressible(size: int, seed: int = 0) -> bytes:
    """Return bytes that zstd cannot make smaller."""
    import random  # noqa: PLC0415

    return random.Random(seed).randbytes(size)


class Clock:
    """A wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


Make = Callable[..., DeadLetterStore]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter() -> RecordingMeter:
    return RecordingMeter()


@pytest.fixture
async def make(tmp_path: Path, clock: Clock, meter: RecordingMeter) -> Any:
    """Return a function that opens stores on one database; all are closed in the end."""
    made: list[DeadLetterStore] = []

    def make(max_bytes: int = 64 * MEBIBYTE, max_age: float = 0.0, **options: Any) -> DeadLetterStore:
        settings = make_settings(Kind.EXTENSION, "file_storage", meter=meter)
        store = DeadLetterStore(
            tmp_path / "dead_letters.db", Limits(max_bytes, max_age), settings, clock=clock, **options
        )
        made.append(store)
        return store

    yield make
    for store in made:
        await store.close()


async def every(store: DeadLetterStore, chosen: LetterFilter = LetterFilter()) -> list[FiledLetter]:  # noqa: B008
    """Return all letters that fit, page by page."""
    found: list[FiledLetter] = []
    while page := await store.find(chosen, after=found[-1].id if found else 0, limit=3):
        found += page
    return found
