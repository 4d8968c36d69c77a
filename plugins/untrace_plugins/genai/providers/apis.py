"""The readers of all APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from untrace_plugins.genai.providers import (
    anthropic_messages,
    cohere_chat,
    embeddings,
    gemini,
    openai_chat,
    openai_completions,
    openai_responses,
)
from untrace_plugins.genai.providers.exchange import Api
from untrace_plugins.genai.providers.reader import Reader

__all__ = ["READERS"]

READERS: Final[Mapping[Api, Reader]] = {
    Api.OPENAI_CHAT: openai_chat.READER,
    Api.OPENAI_COMPLETIONS: openai_completions.READER,
    Api.OPENAI_RESPONSES: openai_responses.READER,
    Api.OPENAI_EMBEDDINGS: embeddings.OPENAI,
    Api.ANTHROPIC_MESSAGES: anthropic_messages.READER,
    Api.COHERE_CHAT: cohere_chat.READER,
    Api.COHERE_EMBED: embeddings.COHERE,
    Api.GEMINI_GENERATE_CONTENT: gemini.READER,
    Api.GEMINI_EMBED_CONTENT: embeddings.GEMINI,
}
"""All but ``other``, whose bodies nobody reads."""
