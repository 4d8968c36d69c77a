"""What is sent to every destination: what five instrumentations really sent, an agent's trace, and large spans."""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.captures import captures
from tests.support.destinations.fields import normalised
from tests.support.llm_calls import SpanView, spans_by_id
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_plugins.genai import names

__all__ = ["AGENT_SESSION", "CAPTURES", "LARGE", "LIMIT_BYTES", "Traffic", "duplicates", "large_spans", "traffic"]

CAPTURES = (
    "litellm-otel-1.106.2",
    "openinference-openai-0.1.66",
    "openllmetry-openai-0.62.4",
    "otel-js-openai-0.21.0",
    "vercel-ai-v7-7.0.173",
)
"""One of each dialect; the fourth has messages in log records."""

AGENT_SESSION = "untrace-example-session"

LARGE = 32
"""Spans that fit where requests are limited; together they do not."""
_LARGE_VALUES, _LARGE_VALUE_BYTES = 4, 900
_TOO_LARGE_VALUES, _TOO_LARGE_VALUE_BYTES = 40, 3_000
LIMIT_BYTES = 40_000
"""Of a request in the second part, compressed: between the size of a large span and that of the one too large."""

_REQUESTS = {Signal.LOGS: ExportLogsServiceRequest, Signal.TRACES: ExportTraceServiceRequest}
_TIMES = ("start_time_unix_nano", "end_time_unix_nano", "time_unix_nano", "observed_time_unix_nano")


@dataclass(frozen=True)
class Traffic:
    """Requests in the order in which they are sent, and the truth about their spans."""

    requests: tuple[Batch, ...]
    spans: Mapping[str, SpanView]
    """Every span by its id, in the canonical form and with its cost."""

    @property
    def calls(self) -> dict[str, SpanView]:
        """The spans that call a model."""
        return {
            key: span for key, span in self.spans.items() if names.is_llm_call(span.attributes.get(names.OPERATION))
        }

    def agent_total(self, attribute: str) -> float:
        """Return the sum of an attribute of the calls in the agent's trace."""
        calls = [call for call in self.calls.values() if call.attributes.get(names.SESSION_ID) == AGENT_SESSION]
        return sum(value for call in calls if isinstance(value := call.attributes.get(attribute), int | float))


def traffic() -> Traffic:
    """Return it, as if it had ended just now."""
    now = time.time_ns()
    requests = [_moved(batch, now) for name in CAPTURES for batch in _of(name)]
    requests.append(example_trace(end_time_unix_nano=now))
    requests.sort(key=lambda batch: batch.signal is Signal.TRACES)  # messages in log records come before their spans
    return Traffic(tuple(requests), spans_by_id(asyncio.run(normalised(requests))))


def _of(capture: str) -> Iterator[Batch]:
    yield from (batch for _, batch in captures()[capture].otlp(Signal.LOGS, Signal.TRACES))


def _moved(batch: Batch, end: int) -> Batch:
    """Return a batch whose last time is another one: some destinations refuse what is old."""
    request = _REQUESTS[batch.signal]()
    request.ParseFromString(batch.to_otlp())
    places = list(_timed(request))
    later = end - max(getattr(one, name) for one, name in places)
    for one, name in places:
        setattr(one, name, getattr(one, name) + later)
    return Batch(batch.signal, request.SerializeToString())


def _timed(message: Any) -> Iterator[tuple[Any, str]]:
    """Yield all times in a message that are set."""
    for field, value in message.ListFields():
        if field.name in _TIMES:
            yield message, field.name
        elif field.message_type is not None and field.name not in {"attributes", "body", "resource"}:
            for one in value if field.is_repeated else (value,):
                yield from _timed(one)


def large_spans() -> tuple[Batch, str]:
    """Return LLM spans of which few fit into `LIMIT_BYTES`, and the id of one that does not fit alone."""
    random_ = random.Random(1)
    spans = [_large(random_, number, _LARGE_VALUES, _LARGE_VALUE_BYTES) for number in range(LARGE)]
    spans.append(_large(random_, LARGE, _TOO_LARGE_VALUES, _TOO_LARGE_VALUE_BYTES))
    batch = Batch(Signal.TRACES, compose_spans({"service.name": "large"}, Scope("proofs"), spans))
    return batch, spans[-1].span_id.hex()


def _large(random_: random.Random, number: int, values: int, size: int) -> NewSpan:
    end = time.time_ns()
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        **{f"proof.filler.{n}": base64.b64encode(random_.randbytes(size * 3 // 4)).decode() for n in range(values)},
    }
    return NewSpan(
        secrets.token_bytes(16), secrets.token_bytes(8), f"chat {number}", end - 10**9, end, attributes=attributes
    )


def duplicates(ids: Iterable[str]) -> int:
    """Return how many of them came before."""
    listed = list(ids)
    return len(listed) - len(set(listed))
