"""Serialized OTLP trace requests of LLM chat spans, the same for everybody who asks with the same seed."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

AttributeValue = str | int | float | bool

# Long ago on purpose: the load generator stamps spans with the present, the sink tells them apart by their age.
BASE_TIME_NANOS = 1_700_000_000_000_000_000
VOCABULARY = (
    "the agent answers questions about orders shipping returns and invoices please summarise this document in three "
    "short points then compare the result with last quarter revenue and explain which assumptions matter most because "
    "customers often ask why delivery was late what a refund policy covers how subscriptions renew and whether support "
    "can change an address after payment context window retrieval embedding tool call latency budget prompt template"
)
WORDS = VOCABULARY.split()
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "gemini-2.5-pro", "llama-3.3-70b")


@dataclass(frozen=True)
class PayloadSpec:
    """What a payload file holds: spans per request and in all, their size, how many have personal data."""

    spans_per_request: int
    span_bytes: int = 2200
    pii_percent: int = 5
    total_spans: int = 3200
    seed: int = 7

    @property
    def file_name(self) -> str:
        """A name that differs whenever the content does."""
        return f"{self.spans_per_request}x{self.span_bytes}-pii{self.pii_percent}-{self.total_spans}-{self.seed}.bin"


def _value(value: AttributeValue) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)


def _attributes(values: dict[str, AttributeValue]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _text(rng: random.Random, size: int) -> str:
    words: list[str] = []
    length = 0
    while length < size:
        words.append(rng.choice(WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)[:size]


def _personal(rng: random.Random) -> str:
    """Answer a sentence with an e-mail address, a card number that passes Luhn, and a social security number."""
    card = rng.choice(("4111 1111 1111 1111", "5500-0000-0000-0004", "4012888888881881"))
    number = f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"
    return f" I am jane.doe{rng.randint(1, 999)}@example.com, my card is {card} and my SSN is {number}. "


def _messages(rng: random.Random, size: int, personal: str) -> tuple[str, str]:
    """Answer the input and output messages as JSON; the input has two thirds of the size."""
    asked = _text(rng, size * 2 // 3 - len(personal))
    place = rng.randrange(len(asked))
    question = asked[:place] + personal + asked[place:]
    system = "You are a helpful assistant for an online shop."
    inputs = [
        {"role": "system", "parts": [{"type": "text", "content": system}]},
        {"role": "user", "parts": [{"type": "text", "content": question}]},
    ]
    answer = {"type": "text", "content": _text(rng, size // 3)}
    outputs = [{"role": "assistant", "parts": [answer], "finish_reason": "stop"}]
    return json.dumps(inputs), json.dumps(outputs)


def _span(rng: random.Random, spec: PayloadSpec, index: int) -> Span:
    personal = _personal(rng) if index % 100 < spec.pii_percent else ""
    asked, answered = _messages(rng, spec.span_bytes - 850, personal)
    model = rng.choice(MODELS)
    start = BASE_TIME_NANOS + index * 1_000_000
    values: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model.partition("-")[0],
        "gen_ai.request.model": model,
        "gen_ai.response.model": f"{model}-2025-08-06",
        "gen_ai.response.id": f"chatcmpl-{rng.getrandbits(96):024x}",
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.usage.input_tokens": rng.randint(50, 4000),
        "gen_ai.usage.output_tokens": rng.randint(10, 900),
        "gen_ai.conversation.id": f"session-{rng.getrandbits(48):012x}",
        "user.id": f"user-{rng.randint(1, 500)}",
        "server.address": "api.example.com",
        "server.port": 443,
        "gen_ai.input.messages": asked,
        "gen_ai.output.messages": answered,
    }
    return Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        parent_span_id=rng.randbytes(8),
        name=f"chat {model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + rng.randint(200, 8000) * 1_000_000,
        attributes=_attributes(values),
        status=Status(code=Status.STATUS_CODE_OK),
    )


def _request(spans: list[Span]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(
        _attributes({"service.name": "shop-assistant", "service.version": "1.4.2", "deployment.environment": "bench"})
    )
    scope = group.scope_spans.add()
    scope.scope.name = "benchmarks"
    scope.spans.extend(spans)
    return request


def write_payload(spec: PayloadSpec, directory: Path) -> Path:
    """Write the requests, each after its length in four big-endian bytes; answer the file, made once."""
    path = directory / spec.file_name
    if path.exists():
        return path
    rng = random.Random(spec.seed)
    spans = [_span(rng, spec, index) for index in range(spec.total_spans)]
    size = spec.spans_per_request
    with path.open("wb") as file:
        for begin in range(0, len(spans), size):
            body = _request(spans[begin : begin + size]).SerializeToString()
            file.write(struct.pack(">I", len(body)) + body)
    return path
