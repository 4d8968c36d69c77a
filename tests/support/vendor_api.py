"""A receiver that speaks a vendor's HTTP API, and a client of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from tests.support.llm_calls import SpanView, spans_by_id
from tests.support.receivers import Receiving, receiving
from untrace_pipeline.api import Receiver, ReceiverFactory
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.genai.normalise import normalise

__all__ = ["Answered", "VendorApi", "normalised", "post_langfuse", "post_langsmith", "serving"]


class Answered(NamedTuple):
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]


class VendorApi:
    """A running receiver and one client."""

    def __init__(self, running: Receiving, session: aiohttp.ClientSession) -> None:
        self.running = running
        self._session = session

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.running.receiver.endpoint}"

    @property
    def batches(self) -> list[Batch]:
        """Everything that was handed on."""
        found: list[Batch] = self.running.sink.batches
        return found

    def spans(self) -> dict[str, SpanView]:
        """Return all spans by id."""
        return spans_by_id(batch for batch in self.batches if batch.signal is Signal.TRACES)

    def parts(self, outcome: str) -> float:
        """Return how many parts had an outcome."""
        return self.running.meter.value("receiver_parts", outcome=outcome)

    async def send(self, method: str, path: str, data: bytes | None = None, **headers: str) -> Answered:
        """Send a request; underscores in names of headers are hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, self.url + path, data=data, headers=given) as response:
            body = await response.read()
            return Answered(response.status, _json(body), response.headers)

    async def post(self, path: str, value: Any, **headers: str) -> Answered:
        """Post JSON."""
        return await self.send("POST", path, json.dumps(value).encode(), content_type="application/json", **headers)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


@asynccontextmanager
async def serving(
    factory: ReceiverFactory[Any],
    *,
    signals: Iterable[Signal] = (Signal.TRACES, Signal.LOGS),
    sink: Any = None,
    **options: Any,
) -> AsyncIterator[VendorApi]:
    """Run a receiver with these options."""
    options = {"endpoint": "127.0.0.1:0", **options}
    async with (
        receiving(factory, options, signals=signals, sink=sink) as running,
        aiohttp.ClientSession(auto_decompress=True) as session,
    ):
        yield VendorApi(running, session)


def normalised(span: SpanView) -> SpanView:
    """Return a span as ``genai_normalizer`` leaves it."""
    said = {**span.attributes, **normalise(span.attributes).values}
    return SpanView(span.name, {key: value for key, value in said.items() if value is not None}, span.failed)


async def post_langsmith(receiver: Receiver, batch: Batch) -> bool:
    """Send as many runs as there are spans, or pieces of feedback as log records; return whether they were taken."""
    numbers = range(1, batch.item_count + 1)
    if batch.signal is Signal.LOGS:
        calls = [("/feedback", {"key": "score", "score": number}) for number in numbers]
    else:
        ids = [str(uuid.UUID(int=number, version=4)) for number in numbers]
        ended = {"start_time": "2026-11-21T01:11:21", "end_time": "2026-11-21T01:11:22"}
        calls = [("/runs/batch", {"post": [{"id": id, "name": "run", **ended} for id in ids]})]  # noqa: A001
    return await _all_taken(receiver, calls, 202)


async def post_langfuse(receiver: Receiver, batch: Batch) -> bool:
    """Send as many observations as there are spans, or scores as log records; return whether they were taken."""
    numbers = range(1, batch.item_count + 1)
    if batch.signal is Signal.LOGS:
        scores = [{"name": "score", "value": number, "traceId": "t"} for number in numbers]
        return await _all_taken(receiver, [("/api/public/scores", scores)], 202)
    spans = [{"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "one"} for number in numbers]
    otlp = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    return await _all_taken(receiver, [("/api/public/otel/v1/traces", otlp)], 200)


async def _all_taken(receiver: Receiver, calls: Iterable[tuple[str, Any]], status: int) -> bool:
    async with aiohttp.ClientSession() as session:
        for path, value in calls:
            url = f"http://{receiver.endpoint}{path}"  # type: ignore[attr-defined]
            async with session.post(url, json=value) as answer:
                if answer.status != status:
                    return False
    return True
