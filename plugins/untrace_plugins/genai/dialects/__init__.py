"""The dialects that instrumentations write, each a module with ``read``, and how a span is recognised as theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from untrace_plugins.genai.dialects import (
    langfuse,
    langsmith,
    litellm,
    mlflow,
    openinference,
    openlit,
    openllmetry,
    otel,
    pydantic_ai,
    untrace,
    vercel_ai,
)
from untrace_plugins.genai.reading import Reading

__all__ = ["DIALECTS", "OTEL_GENAI", "Dialect", "spoken"]


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One way to write LLM spans; each is itself alone."""

    name: str
    """As in ``sources`` of the configuration, and in ``untrace.dialect``."""
    read: Callable[[Reading], None]
    marks: tuple[str, ...]
    """How attributes begin that only this dialect has."""
    heads: frozenset[str] = field(init=False)
    """First words of its marks."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", frozenset(mark.partition(".")[0] for mark in self.marks))


OTEL_GENAI: Final = Dialect("otel_genai", otel.read, ("gen_ai.",))

DIALECTS: Final = (
    Dialect("langfuse", langfuse.read, ("langfuse.",)),
    Dialect("mlflow", mlflow.read, ("mlflow.span", "mlflow.chat", "mlflow.llm", "mlflow.traceRequestId")),
    Dialect("vercel_ai", vercel_ai.read, ("ai.operationId", "ai.settings.", "ai.usage.")),
    Dialect("litellm", litellm.read, ("litellm.", *litellm.RAW_MARKS)),
    Dialect(
        "openinference",
        openinference.read,
        ("openinference.", "llm.input_messages", "llm.output_messages", "llm.token_count."),
    ),
    Dialect("langsmith", langsmith.read, ("langsmith.",)),
    Dialect("pydantic_ai", pydantic_ai.read, ("logfire.", "pydantic_ai.", "request_data")),
    Dialect(
        "openllmetry",
        openllmetry.read,
        (
            "traceloop.",
            "llm.request.",
            "llm.usage.prompt",
            "llm.usage.completion",
            "llm.is_streaming",
            "llm.response.",
            "gen_ai.prompt.",
            "gen_ai.completion.",
            "gen_ai.is_streaming",
        ),
    ),
    Dialect("openlit", openlit.read, ("openlit.", "gen_ai.application_name", "gen_ai.sdk.version", "gen_ai.tool.args")),
    Dialect(
        "untrace",
        untrace.read,
        (
            "llm.operation.type",
            "llm.prompt.tokens",
            "llm.total.tokens",
            "llm.completion.tokens",
            "framework.",
            "workflow.id",
            "workflow.run_id",
            "workflow.name",
        ),
    ),
    OTEL_GENAI,
)
"""The most particular first: the first that a span speaks gives it its name."""


def spoken(keys: tuple[str, ...], among: tuple[Dialect, ...] = DIALECTS) -> tuple[Dialect, ...]:
    """Return the dialects of a span with these attributes, in order."""
    heads = {key.partition(".")[0] for key in keys}
    return tuple(
        dialect
        for dialect in among
        if not dialect.heads.isdisjoint(heads) and any(key.startswith(dialect.marks) for key in keys)
    )
