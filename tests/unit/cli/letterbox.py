"""A configuration that keeps dead letters, with real components, and commands run on it in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import yaml

from tests.unit.cli.conftest import Outcome
from untrace_pipeline.api import Kind
from untrace_pipeline.cli import main
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.delivery.dead_letters import DeadLetterStore, FiledLetter, LetterFilter, Limits
from untrace_pipeline.delivery.storage import DeadLetter
from untrace_pipeline.testing import make_batch, make_settings

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


def letter(number: int = 0, **told: Any) -> DeadLetter:
    """Return a letter of ten spans; what is told wins."""
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
        "payload": make_batch(Signal.TRACES, 10, seed=number).to_otlp(),
        "key": f"key-{number}",
    }
    return DeadLetter(**(fixed | told))


def span_ids(*letters: DeadLetter) -> set[object]:
    """Return the ids of the spans in letters."""
    found = (Batch(one.signal, one.payload).column(Field(Level.ITEM, "span_id")) for one in letters)
    return {value for column in found for value in column}


class Letterbox:
    """The files of one test, and what may be done with them."""

    def __init__(self, directory: Path, capture: Any) -> None:
        self.directory = directory
        self.config = directory / "config.yaml"
        self.queue = directory / "queue"
        self.document: dict[str, Any] = {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:0"}}}},
            "exporters": {
                "otlp_http/backend": {
                    "endpoint": "http://127.0.0.1:9",
                    "dead_letter_queue": {"storage": "file_storage"},
                },
                "file/archive": {"path": str(directory / "archive.jsonl")},
            },
            "extensions": {"file_storage": {"directory": str(self.queue), "dead_letters": {"max_age": "0s"}}},
            "service": {
                "extensions": ["file_storage"],
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http/backend", "file/archive"]}},
            },
        }
        self._capture = capture
        self.save()

    def save(self) -> None:
        """Write the configuration."""
        self.config.write_text(yaml.safe_dump(self.document, sort_keys=False))

    def store(self, queue: Path | None = None) -> DeadLetterStore:
        """Return a store of the letters."""
        path = (queue or self.queue) / "dead_letters.db"
        return DeadLetterStore(path, Limits(1 << 30, 0), make_settings(Kind.EXTENSION, "file_storage"))

    def bury(self, *letters: DeadLetter, queue: Path | None = None) -> None:
        """Put letters into the store."""
        (queue or self.queue).mkdir(exist_ok=True)

        async def work() -> None:
            store = self.store(queue)
            await store.bury(letters)
            await store.close()

        asyncio.run(work())

    def held(self, chosen: LetterFilter = LetterFilter()) -> list[FiledLetter]:  # noqa: B008
        """Return the letters that are in the store."""

        async def work() -> list[FiledLetter]:
            store = self.store()
            try:
                return list(await store.find(chosen, limit=10_000))
            finally:
                await store.close()

        return asyncio.run(work())

    def run(self, *arguments: object) -> Outcome:
        """Run a command with the configuration."""
        words = [str(one) for one in arguments]
        place = 2 if words[0] == "dlq" else 1
        code = main([*words[:place], "--config", str(self.config), *words[place:]])
        out, err = self._capture.readouterr()
        return Outcome(code, out, err)
