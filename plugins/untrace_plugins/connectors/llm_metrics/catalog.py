"""The metrics that can be made, as data: their names in each release of the conventions, and what they count.

Sources: semantic-conventions v1.41 ``gen-ai/gen-ai-metrics.md``, and the unreleased set of the repository
``semantic-conventions-genai``. Names that begin with ``llm.`` are ours, where the conventions have none.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CATALOG", "Conventions", "Metric", "Source", "names_of"]


class Conventions(enum.StrEnum):
    """Releases of the GenAI conventions, as far as metrics differ."""

    RELEASED = "v1.41"
    DEVELOPMENT = "development"


class Source(enum.StrEnum):
    """What a metric counts of a span."""

    CALLS = "calls"
    ERRORS = "errors"
    DURATION = "duration"
    TIME_TO_FIRST_CHUNK = "time_to_first_chunk"
    TOKENS_PER_SECOND = "tokens_per_second"
    COST = "cost"
    INPUT = "input"
    OUTPUT = "output"
    CACHE_READ = "cache_read"
    CACHE_CREATION = "cache_creation"
    REASONING = "reasoning"


INFERENCE = frozenset({"chat", "generate_content", "text_completion"})
LLM_CALLS = INFERENCE | {"embeddings"}

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple([float(4**power) for power in range(14)])
_RATES = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2500.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; a histogram where there are bounds, otherwise a sum."""

    name: str
    unit: str
    description: str
    sources: tuple[Source, ...]
    """More than one: told apart by ``gen_ai.token.type``."""
    bounds: Sequence[float] = ()
    operations: frozenset[str] = LLM_CALLS
    """Values of ``gen_ai.operation.name`` that it counts."""
    conventions: frozenset[Conventions] = frozenset(Conventions)
    """Releases that have it."""
    with_error: bool = False
    """Whether ``error.type`` tells series apart."""


_RELEASED = frozenset({Conventions.RELEASED})
_DEVELOPMENT = frozenset({Conventions.DEVELOPMENT})
_TOKEN_SOURCES = (Source.INPUT, Source.OUTPUT, Source.CACHE_READ, Source.CACHE_CREATION, Source.REASONING)
_COUNTERS = (
    ("input_tokens", Source.INPUT, "Tokens of inputs, cached ones included."),
    ("output_tokens", Source.OUTPUT, "Tokens of outputs, reasoning included."),
    ("cache_read.input_tokens", Source.CACHE_READ, "Tokens of inputs that came from the provider's cache."),
    ("cache_write.input_tokens", Source.CACHE_CREATION, "Tokens of inputs that were written to the provider's cache."),
    ("reasoning.output_tokens", Source.REASONING, "Tokens of outputs that were reasoning."),
)
_LATER = (
    ("gen_ai.invoke_agent.duration", "Duration of invocations of agents.", "invoke_agent"),
    ("gen_ai.execute_tool.duration", "Duration of executions of tools.", "execute_tool"),
    ("gen_ai.invoke_workflow.duration", "Duration of invocations of workflows.", "invoke_workflow"),
)

CATALOG = (
    Metric("llm.requests", "{request}", "LLM calls, failed ones included.", (Source.CALLS,)),
    Metric("llm.errors", "{request}", "LLM calls that failed.", (Source.ERRORS,), with_error=True),
    Metric("llm.tokens", "{token}", "Tokens of LLM calls by type; input includes cache parts, output reasoning.",
           _TOKEN_SOURCES),
    Metric("llm.cost", "{USD}", "Cost of LLM calls in US dollars, as far as prices are known.", (Source.COST,)),
    Metric("llm.output.token_rate", "{token}/s", "Output tokens per second of generation.",
           (Source.TOKENS_PER_SECOND,), _RATES, INFERENCE),
    Metric("gen_ai.client.operation.duration", "s", "GenAI operation duration.", (Source.DURATION,), _SECONDS,
           conventions=_RELEASED, with_error=True),
    Metric("gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.",
           (Source.INPUT, Source.OUTPUT), _TOKENS, conventions=_RELEASED),
    Metric("gen_ai.client.operation.time_to_first_chunk", "s", "Time to the first chunk of a streamed response.",
           (Source.TIME_TO_FIRST_CHUNK,), _SECONDS, INFERENCE, _RELEASED),
    Metric("gen_ai.client.inference.duration", "s", "Duration of inference.", (Source.DURATION,), _SECONDS, INFERENCE,
           _DEVELOPMENT, with_error=True),
    Metric("gen_ai.client.inference.time_to_first_chunk", "s", "Time to the first chunk of a streamed response.",
           (Source.TIME_TO_FIRST_CHUNK,), _SECONDS, INFERENCE, _DEVELOPMENT),
    Metric("gen_ai.client.inference.operation.input_tokens", "{token}", "Input tokens per inference.", (Source.INPUT,),
           _TOKENS, INFERENCE, _DEVELOPMENT),
    Metric("gen_ai.client.inference.operation.output_tokens", "{token}", "Output tokens per inference.",
           (Source.OUTPUT,), _TOKENS, INFERENCE, _DEVELOPMENT),
    *(
        Metric(f"gen_ai.client.inference.usage.{name}", "{token}", text, (source,), (), INFERENCE, _DEVELOPMENT)
        for name, source, text in _COUNTERS
    ),
    *(
        Metric(name, "s", text, (Source.DURATION,), _SECONDS, frozenset({operation}), _DEVELOPMENT, with_error=True)
        for name, text, operation in _LATER
    ),
)  # fmt: skip


def names_of(conventions: Conventions) -> list[str]:
    """Return the names of all metrics of a release."""
    return [metric.name for metric in CATALOG if conventions in metric.conventions]
