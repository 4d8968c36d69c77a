"""OpenLIT: OTel GenAI names of its time, with additions of its own."""

from __future__ import annotations

from untrace_plugins.genai import names
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.values import integer, json_text

__all__ = ["read"]

_TABLE: Table = {
    "gen_ai.tool.args": (names.TOOL_CALL_ARGUMENTS, json_text),
    "gen_ai.request.embedding_dimension": (names.EMBEDDINGS_DIMENSIONS, integer),
}


def read(span: Reading) -> None:
    """Read the additions; the rest is the convention's."""
    span.table(_TABLE)
