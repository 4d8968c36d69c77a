"""OpenTelemetry GenAI v1.41: the canonical form, and ``gen_ai.system``, which many destinations still read."""

from __future__ import annotations

from untrace_plugins.genai.emit.span import Changes, Span

__all__ = ["emit_genai"]


def emit_genai(span: Span) -> Changes:
    """Return the provider under its older name too: Opik, Langfuse and LangSmith know no other."""
    provider = span.attributes.get("gen_ai.provider.name")
    return {} if provider is None else {"gen_ai.system": provider}
