"""What all APIs of OpenAI have in common: who asks, what he attached, the kind of answer he wants."""

from __future__ import annotations

from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import parameters
from untrace_plugins.genai.providers.reader import Json, mapping
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import dump, text

__all__ = ["common_request"]

_SECRETS: Final = frozenset({"authorization", "headers", "authorization_token"})
"""What a definition of a remote tool server has for logging in there."""


def common_request(span: Reading, given: Json, api: str = "") -> None:
    """Set what a request says beside its content, and its tool definitions."""
    tools = given.get("tools")
    if isinstance(tools, list) and any(isinstance(tool, dict) and not _SECRETS.isdisjoint(tool) for tool in tools):
        given = {**given, "tools": [_without_secrets(tool) for tool in tools]}
    parameters(span, given)
    span.put(names.OPENAI_API_TYPE, api or None)
    span.put(names.USER_ID, text(given.get("safety_identifier")) or text(given.get("user")))
    if attached := given.get("metadata"):
        span.put(names.METADATA, dump(attached) if isinstance(attached, dict) else None)
    modalities = given.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        span.put(names.OUTPUT_TYPE, "speech")


def _without_secrets(tool: Any) -> Any:
    return {key: value for key, value in mapping(tool).items() if key not in _SECRETS}
