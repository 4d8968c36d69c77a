"""Spans of LLM calls in the canonical form, for tests of what is made of them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from untrace_pipeline.testing.generate import to_any_value

__all__ = ["llm_request"]

MODELS = (("openai", "gpt-4o", 0.0125), ("openai", "gpt-4o-mini", 0.0004), ("anthropic", "claude-sonnet-4", 0.02))
APPLICATIONS = (("shop-assistant", "prod"), ("batch-agent", "staging"))


def llm_request(calls: int, seed: int = 0) -> bytes:
    """Return a serialized request of that many calls: models, applications, streams, caches, every tenth a failure."""
    rng = random.Random(seed)
    request = ExportTraceServiceRequest()
    now = time.time_ns()
    scopes = []
    for service, environment in APPLICATIONS:
        group = request.resource_spans.add()
        _fill(group.resource.attributes, {"service.name": service, "deployment.environment.name": environment})
        scopes.append(group.scope_spans.add())
    for index in range(calls):
        provider, model, price = MODELS[index % len(MODELS)]
        seconds = rng.uniform(0.2, 8)
        span = scopes[index % len(scopes)].spans.add(name=f"chat {model}", kind=3)
        span.trace_id, span.span_id = rng.randbytes(16), rng.randbytes(8)
        span.start_time_unix_nano, span.end_time_unix_nano = now - int(seconds * 1e9), now
        tokens_in, tokens_out = rng.randint(50, 4000), rng.randint(10, 900)
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.response.model": f"{model}-2025",
            "server.address": f"api.{provider}.com",
        }
        if index % 10 == 9:
            span.status.code = 2  # type: ignore[assignment]
            attributes["error.type"] = ("timeout", "429")[index // 10 % 2]
        else:
            attributes |= {
                "gen_ai.usage.input_tokens": tokens_in,
                "gen_ai.usage.output_tokens": tokens_out,
                "gen_ai.usage.cache_read.input_tokens": tokens_in // 3,
                "gen_ai.usage.cost": price * tokens_in / 1000,
                "gen_ai.response.time_to_first_chunk": seconds / 4,
                "untrace.tokens_per_second": tokens_out / seconds,
            }
        _fill(span.attributes, attributes)
    return request.SerializeToString()


def _fill(target: Any, attributes: dict[str, Any]) -> None:
    pairs: Iterable[tuple[str, Any]] = attributes.items()
    for key, value in pairs:
        target.add(key=key, value=to_any_value(value))
