"""OpenTelemetry GenAI v1.41: the canonical form, and what destinations of it look for besides."""

from __future__ import annotations

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.span import Changes, Span
from untrace_plugins.genai.emit.words import conversation

__all__ = ["emit_genai"]


def emit_genai(span: Span) -> Changes:
    """Return the provider's older name, since Opik and Langfuse know no other, and the session's conversation."""
    provider = span.attributes.get(names.PROVIDER)
    return conversation(span) if provider is None else {names.SYSTEM: provider, **conversation(span)}
